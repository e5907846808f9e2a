using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Quantization;

/// <summary>Weights that are read in runs of rows.</summary>
public sealed class TransformedWeightsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("up", "permutation")]
    [InlineData("up", "diagonal values")]
    [InlineData("keys", "values")]
    public void Runs_of_rows_are_those_of_the_whole_tensor_bit_for_bit(string one, string other)
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        IReadOnlyList<LayerTransforms> first = RandomTransforms.Of(config, one).Layers, second = RandomTransforms.Of(config, other, seed: 5).Layers;
        var transforms = new ModelTransforms
        {
            Layers = [.. first.Zip(second, (a, b) => new LayerTransforms { Keys = a.Keys ?? b.Keys, Values = a.Values ?? b.Values, Up = a.Up ?? b.Up, Permutation = a.Permutation ?? b.Permutation })],
        };
        var whole = new TransformedModel(checkpoint, transforms);
        var weights = new TransformedWeights(checkpoint, transforms);
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
        {
            int width = shape.Length == 1 ? 1 : (int)shape[1], rows = (int)shape[0], run = Math.Max(1, rows / 3);
            var actual = new float[rows * width];
            for (int row = 0; row < rows; row += run)
                weights.Read(name, actual.AsMemory(row * width, Math.Min(run, rows - row) * width), (long)row * width);
            Assert.Equal(whole.ReadSingles(name), actual);
        }
    }

    [Theory]
    [InlineData("model.layers.0.mlp.down_proj.weight", 5 * 160 + 7, "row 5, column 7", QuantizationQuality.Fast)]
    [InlineData("model.layers.1.mlp.up_proj.weight", 9 * 64 + 3, "row 9, column 3", QuantizationQuality.Balanced)]
    [InlineData("model.layers.1.self_attn.v_proj.bias", 4, "row 4, column 0", QuantizationQuality.Balanced)]
    [InlineData("model.embed_tokens.weight", 64, "row 1, column 0", QuantizationQuality.Fast)]
    public void A_weight_that_is_not_finite_is_one_error_that_names_tensor_place_and_file(string name, int index, string place, QuantizationQuality quality)
    {
        TransformerConfig config = TinyModel.Config();
        using (Checkpoint sound = TinyModel.Write(folder["sound"], config))
        {
            CheckpointWriter.Write(folder["base"], config, tensor =>
            {
                float[] values = sound.Read(tensor);
                if (tensor == name)
                    values[index] = float.NegativeInfinity;
                return values;
            }, TensorDType.BF16);
        }

        using Checkpoint checkpoint = Checkpoint.Open(folder["base"]);
        LinearActivations Even(int columns) => new([.. Enumerable.Range(1, columns).Select(c => (float)c)], 1, 1);
        var calibration = new Calibration([.. Enumerable.Range(0, config.Layers).Select(_ => new LayerActivations(Even(config.HiddenSize), Even(config.QuerySize), Even(config.HiddenSize), Even(config.IntermediateSize)))], null);
        var e = Assert.Throws<ExportException>(() => QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Block = 32, Quality = quality }, calibration, folder["model"], cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(DiagnosticCodes.WeightNotFinite, e.Code);
        Assert.StartsWith($"{name} in model.safetensors holds -", e.Message, StringComparison.Ordinal);
        Assert.Contains(place, e.Message, StringComparison.Ordinal);
    }
}
