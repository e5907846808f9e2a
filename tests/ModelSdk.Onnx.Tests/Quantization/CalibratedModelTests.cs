using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Quantization;

/// <summary>Models quantized with what is known of their activations.</summary>
public sealed class CalibratedModelTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(QuantizationQuality.Balanced, true)]
    [InlineData(QuantizationQuality.Best, false)]
    public void What_is_folded_leaves_the_function_and_is_remembered_with_the_weights(QuantizationQuality quality, bool tied)
    {
        TransformerConfig config = TinyModel.Config(tied);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Quality = quality }, "model");
        QuantizedModel model = QuantizedModel.Open(folder["model"]);

        Assert.Contains(model.Transforms.Layers, l => l.Up is not null || l.Values is not null);
        Assert.All(model.Transforms.Layers, l => Assert.Equal(quality == QuantizationQuality.Best, l.Permutation is not null));
        var transformed = new TransformedModel(checkpoint, model.Transforms);
        int[] ids = TinyModel.Tokens(config, 12);
        double[][] expected = new ReferenceTransformer(config, name => Array.ConvertAll(checkpoint.Read(name), v => (double)v)).Forward(ids);
        double[][] actual = new ReferenceTransformer(config, transformed.Read).Forward(ids);
        Assert.InRange(expected.Zip(actual, (a, b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max()).Max(), 0, 1e-9);
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
        {
            float[] whole = transformed.ReadSingles(name);
            float[] stored = model.ReadDequantized(name);
            double error = Math.Sqrt(whole.Zip(stored, (a, b) => Math.Pow(a - b, 2)).Sum() / whole.Sum(a => (double)a * a));
            Assert.InRange(error, 0, shape.Length == 1 ? 1e-7 : 0.25);
        }
    }

    [Fact]
    public void Activations_leave_less_error_where_they_are_known()
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        Calibration calibration = Activations(config);
        double[] errors =
        [
            .. Enum.GetValues<QuantizationQuality>().Select(quality =>
            {
                QuantizedModel model = Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int2, Quality = quality }, quality.ToString());
                return OutputError(checkpoint, model, calibration);
            }),
        ];

        Assert.InRange(errors[1] / errors[0], 0, 0.95);
        Assert.InRange(errors[2] / errors[1], 0, 0.9);
    }

    [Theory]
    [InlineData(QuantizationQuality.Fast, 3.5)]
    [InlineData(QuantizationQuality.Balanced, 4.2)]
    [InlineData(QuantizationQuality.Best, 6)]
    public void Mixed_formats_keep_their_budget_and_run(QuantizationQuality quality, double bits)
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        QuantizedModel model = Quantize(checkpoint, new QuantizationSettings { BitsPerWeight = bits, Quality = quality }, "model");

        Assert.InRange(model.BitsPerWeight, bits - 0.6, bits);
        Assert.True(model.Weights.Where(w => w.Name.Contains("_proj.weight", StringComparison.Ordinal)).Select(w => w.Format).Distinct().Count() > 1);
        GraphExporter.WriteBase(model, new GraphOptions { Context = 48, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);
        using var weights = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, "base.onnx"), config, weights);
        using var cache = new KeyValueCache(config, 1, 48);
        float[] logits = runner.Run(ids, [ids.Length], [.. Enumerable.Range(0, ids.Length)], cache);
        double[][] expected = new ReferenceTransformer(config, model.ReadDequantized).Forward(ids);
        Assert.InRange(expected.SelectMany(r => r).Zip(logits, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-4);
    }

    [Fact]
    public void The_same_calibration_gives_the_same_bytes()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config());
        var settings = new QuantizationSettings { BitsPerWeight = 4, Quality = QuantizationQuality.Best };
        Quantize(checkpoint, settings, "a");
        Quantize(checkpoint, settings, "b");

        foreach (string file in Directory.GetFiles(folder["a"]))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(folder["b"], Path.GetFileName(file))));
    }

    [Fact]
    public void Fewer_bits_than_any_format_takes_are_refused()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config());

        var e = Assert.Throws<ExportException>(() => Quantize(checkpoint, new QuantizationSettings { BitsPerWeight = 2.5 }, "model"));

        Assert.Equal(DiagnosticCodes.BitBudgetTooSmall, e.Code);
        Assert.Contains("take 3", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_size_known_from_the_shape_is_that_of_the_file()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config(tied: false));
        foreach (WeightFormat format in (WeightFormat[])[WeightFormat.Int2, WeightFormat.Int8])
        {
            var settings = new QuantizationSettings { Weights = format };
            QuantizedModel model = Quantize(checkpoint, settings, format.ToString());
            long tensors = model.Tensors.Where(t => !t.Name.StartsWith("rotary", StringComparison.Ordinal)).Sum(t => t.Bytes);
            Assert.Equal(tensors, QuantizedSize.Of(model.Architecture, settings));
        }
    }

    private QuantizedModel Quantize(Checkpoint checkpoint, QuantizationSettings settings, string name) =>
        QuantizedModel.Quantize(checkpoint, settings, settings.Calibrates ? Activations(checkpoint.Config) : null, folder[name], cancellationToken: TestContext.Current.CancellationToken);

    /// <summary>Channels of very different size that share directions.</summary>
    private static Calibration Activations(TransformerConfig config)
    {
        var random = new Random(17);
        var layers = new List<LayerActivations>();
        var grams = new List<LayerGrams>();
        for (int layer = 0; layer < config.Layers; layer++)
        {
            float[][] of = [.. ((int[])[config.HiddenSize, config.QuerySize, config.HiddenSize, config.IntermediateSize]).Select(n => Gram(random, n))];
            LinearActivations[] linears = [.. of.Select(g => new LinearActivations(Diagonal(g), 1 + random.NextDouble(), 0.1 + random.NextDouble()))];
            layers.Add(new LayerActivations(linears[0], linears[1], linears[2], linears[3]));
            grams.Add(new LayerGrams(of[0], of[1], of[2], of[3]));
        }

        return new Calibration(layers, layer => grams[layer]);
    }

    private static float[] Gram(Random random, int n)
    {
        const int Tokens = 300;
        double[] sizes = [.. Enumerable.Range(0, n).Select(_ => Math.Exp(1.2 * TinyModel.Normal(random)))];
        double[][] directions = [.. Enumerable.Range(0, 6).Select(_ => Enumerable.Range(0, n).Select(_ => TinyModel.Normal(random)).ToArray())];
        var x = new double[Tokens][];
        for (int t = 0; t < Tokens; t++)
        {
            double[] strengths = [.. directions.Select(_ => TinyModel.Normal(random))];
            x[t] = [.. Enumerable.Range(0, n).Select(c => sizes[c] * ((0.6 * TinyModel.Normal(random)) + (0.4 * Enumerable.Range(0, 6).Sum(d => strengths[d] * directions[d][c]))))];
        }

        var gram = new float[n * n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
                gram[(i * n) + j] = (float)(x.Sum(v => v[i] * v[j]) / Tokens);
        }

        return gram;
    }

    private static float[] Diagonal(float[] gram)
    {
        int n = (int)Math.Sqrt(gram.Length);
        return [.. Enumerable.Range(0, n).Select(i => gram[(i * n) + i])];
    }

    /// <summary>tr(E H E^T) of all linears, E in the original basis: the stored weights' transform is undone.</summary>
    private static double OutputError(Checkpoint checkpoint, QuantizedModel model, Calibration calibration)
    {
        double total = 0;
        foreach (QuantizedWeight weight in model.Weights.Where(w => w.Name.EndsWith("o_proj.weight", StringComparison.Ordinal) || w.Name.EndsWith("down_proj.weight", StringComparison.Ordinal) || w.Name.EndsWith("q_proj.weight", StringComparison.Ordinal)))
        {
            int layer = int.Parse(weight.Name.Split('.')[2], System.Globalization.CultureInfo.InvariantCulture);
            LayerTransforms? own = model.Transforms.Layers.Count > 0 ? model.Transforms.Layers[layer] : null;
            bool down = weight.Name.EndsWith("down_proj.weight", StringComparison.Ordinal), output = weight.Name.EndsWith("o_proj.weight", StringComparison.Ordinal);
            float[] gram = calibration.Grams!(layer)[down ? "mlp.down_proj" : output ? "self_attn.o_proj" : "self_attn.qkv_proj"];
            int n = weight.Columns, group = model.Architecture.Heads / model.Architecture.KeyValueHeads, h = model.Architecture.HeadSize;
            float[] original = checkpoint.Read(weight.Name), stored = model.ReadDequantized(weight.Name);
            for (int row = 0; row < weight.Rows; row++)
            {
                var error = new double[n];
                for (int c = 0; c < n; c++)
                {
                    int source = down ? own?.Permutation?[c] ?? c : c;
                    double factor = down ? own?.Up?[source] ?? 1 : output ? own?.Values?.Factors?[(c / h / group * h) + (c % h)] ?? 1 : 1;
                    error[source] = original[(row * n) + source] - (stored[(row * n) + c] * factor);
                }

                for (int i = 0; i < n; i++)
                {
                    for (int j = 0; j < n; j++)
                        total += error[i] * gram[(i * n) + j] * error[j];
                }
            }
        }

        return total;
    }
}
