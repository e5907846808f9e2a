using System.Runtime.InteropServices;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Quantization;

public sealed class KeyValueCacheTests(ITestOutputHelper output) : IDisposable
{
    private const int Context = 48;
    private static readonly GraphOptions Exact = new() { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 };

    private readonly TemporaryFolder folder = new();
    private readonly TransformerConfig config = TinyModel.Config();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Scales_are_twice_the_greatest_value_and_the_greatest_length_of_a_key_pair()
    {
        QuantizedModel model = Quantize();
        int[][] sequences = [TinyModel.Tokens(config, 30), TinyModel.Tokens(config, 21, seed: 4)];

        KeyValueScales scales = KeyValueCalibration.Run(model, CacheFormat.Int8, sequences, cancellationToken: TestContext.Current.CancellationToken);
        KeyValueScales four = KeyValueCalibration.Run(model, CacheFormat.Int4, sequences, cancellationToken: TestContext.Current.CancellationToken);

        float[][][] held = [.. sequences.Select(s => Held(model, s, new GraphOptions { Context = Context }))];
        int size = config.HeadSize;
        for (int layer = 0; layer < config.Layers; layer++)
        {
            for (int channel = 0; channel < config.KeyValueSize; channel++)
            {
                int pair = channel % size < size / 2 ? channel + (size / 2) : channel - (size / 2);
                double key = 0;
                double value = 0;
                foreach (float[][] slabs in held)
                {
                    for (int at = 0; at < slabs[0].Length; at += config.KeyValueSize)
                    {
                        key = Math.Max(key, Math.Sqrt(Math.Pow(slabs[2 * layer][at + channel], 2) + Math.Pow(slabs[2 * layer][at + pair], 2)));
                        value = Math.Max(value, Math.Abs(slabs[(2 * layer) + 1][at + channel]));
                    }
                }

                Assert.Equal(2 * key / 127, scales.Layers[layer].Keys[channel], 1e-6);
                Assert.Equal(2 * value / 127, scales.Layers[layer].Values[channel], 1e-6);
                Assert.Equal(key / 7, four.Layers[layer].Keys[channel], 1e-5);
                Assert.Equal(value / 7, four.Layers[layer].Values[channel], 1e-5);
            }
        }
    }

    [Theory]
    [InlineData(CacheFormat.Int8, 0.1)]
    [InlineData(CacheFormat.Int4, 0.7)]
    public void Graphs_over_a_quantized_cache_stay_near_the_double_reference(CacheFormat format, double bound)
    {
        QuantizedModel model = Calibrated(Quantize(), format);
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        GraphExporter.WriteBase(model, Exact, model.Folder);
        BundleAdapter written = GraphExporter.WriteAdapter(model, adapter, "think", Exact, model.Folder);
        int[] ids = TinyModel.Tokens(config, 40);

        Compare("base.onnx", null);
        Compare(written.Graph, GraphExporter.AsDeployed(model, adapter));

        void Compare(string graph, LoraAdapter? lora)
        {
            float[] expected = [.. new ReferenceTransformer(config, model.ReadDequantized, lora).Forward(ids).SelectMany(row => row).Select(v => (float)v)];
            double difference = LogitsComparison.Compare(expected, Logits(model, graph, ids), config.VocabularySize).Difference;
            output.WriteLine($"{graph} {format}: {difference:g3}");
            Assert.InRange(difference, bound / 100, bound);
        }
    }

    [Theory]
    [InlineData(CacheFormat.Int8)]
    [InlineData(CacheFormat.Int4)]
    public void Stored_numbers_are_rounded_as_stated_and_the_encoder_stores_the_same(CacheFormat format)
    {
        QuantizedModel plain = Quantize();
        int[] ids = TinyModel.Tokens(config, 40);
        float[][] values = Held(plain, ids, Exact);
        QuantizedModel model = Calibrated(plain, format);
        GraphExporter.WriteBase(model, Exact, model.Folder);
        string encoder = GraphExporter.WriteEncoder(model, Exact, model.Folder)!;
        using var weights = new MappedWeights(model);
        using var baseRunner = new GraphRunner(Path.Combine(model.Folder, "base.onnx"), config, weights);
        using var encodeRunner = new GraphRunner(Path.Combine(model.Folder, encoder), config, weights);

        using KeyValueCache byBase = baseRunner.NewCache(1, Context);
        baseRunner.Run(ids, [ids.Length], [], byBase);
        int[][] stored = Numbers(byBase, format, ids.Length);
        foreach (int chunk in (int[])[40, 13, 1])
        {
            using KeyValueCache byEncoder = encodeRunner.NewCache(1, Context);
            for (int start = 0; start < ids.Length; start += chunk)
            {
                int end = Math.Min(start + chunk, ids.Length);
                encodeRunner.Encode(ids.AsSpan(start, end - start), end, byEncoder);
            }

            // Sums are taken in another order, so a number now and then falls on the other side of a rounding.
            int[][] encoded = Numbers(byEncoder, format, ids.Length);
            int different = stored.Zip(encoded, (a, b) => a.Zip(b, (x, y) => x == y ? 0 : Math.Abs(x - y) == 1 ? 1 : 1000).Sum()).Sum();
            Assert.InRange(different, 0, stored.Sum(s => s.Length) / 200);
        }

        // The keys and values of the first layer come before any attention, so they are known exactly: half to even of value times 1 / scale.
        int most = format == CacheFormat.Int8 ? 127 : 7;
        foreach (int slab in (int[])[0, 1])
        {
            float[] scales = slab == 0 ? model.Cache!.Layers[0].Keys : model.Cache!.Layers[0].Values;
            int[] expected = [.. values[slab].Select((v, i) => (int)Math.Clamp(MathF.Round(v * (1 / scales[i % scales.Length])), -most - 1, most))];
            Assert.Equal(expected, stored[slab]);
            Assert.True(expected.Distinct().Count() > 10);
        }
    }

    [Theory]
    [InlineData(CacheFormat.Int8)]
    [InlineData(CacheFormat.Int4)]
    public void An_export_with_every_head_passes_its_own_verification(CacheFormat format)
    {
        QuantizedModel model = Calibrated(Quantize(), format);
        GraphOptions options = new() { Context = Context };
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        GraphExporter.WriteBase(model, options, model.Folder);
        GraphExporter.WriteEncoder(model, options, model.Folder);
        var random = new Random(5);
        float[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)TinyModel.Normal(random))];
        var switcher = new SwitcherHead(Random(8 * 64), Random(8), Random(16), Random(2));
        GraphExporter.WritePrefill(model, switcher, options, model.Folder);
        BundleAdapter written = GraphExporter.WriteAdapter(model, adapter, "think", options, model.Folder);
        int[] ids = TinyModel.Tokens(config, 30);
        var reference = new ReferenceLogits("think", ids, 11, [.. new ReferenceTransformer(config, model.ReadDequantized, GraphExporter.AsDeployed(model, adapter), 11).Forward(ids)[11..].SelectMany(r => r).Select(v => (float)v)]);
        VerificationBounds bounds = format == CacheFormat.Int8 ? new() { ArgmaxAgreement = 0.8, SameWeightsRounded = 0.1 } : new() { ArgmaxAgreement = 0.3, ReferenceRounded = 0.7, SameWeightsRounded = 0.5 };

        VerificationReport report = ExportVerifier.Verify(model, model.Folder, [written], options, [reference], bounds, TestContext.Current.CancellationToken);
        VerificationReport heads = ExportVerifier.VerifySwitcher(model, model.Folder, switcher, options, bounds);
        VerificationReport rollout = ExportVerifier.VerifyRollout(model, adapter, options, folder["rollout"], bounds);

        foreach (VerificationCheck check in (VerificationCheck[])[.. report.Checks, .. heads.Checks, .. rollout.Checks])
            output.WriteLine($"{check.Mode,-12} {check.Name,-50} {check.Difference:g3} of {check.Bound:g3}, argmax {check.ArgmaxAgreement:p1}");
        Assert.Equal(2, report.Checks.Count(c => c.Name.StartsWith("prompt by the encoder", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_scale_a_channel_stores_huge_key_channels_and_a_key_transform_adds_nothing_to_it()
    {
        // Qwen's keys have channels far beyond the others, from their biases.
        Dictionary<string, float[]> planted = [];
        using (Checkpoint checkpoint = TinyModel.Write(folder["plain"], config))
        {
            foreach ((string name, _) in Qwen2Tensors.Of(config))
                planted[name] = checkpoint.Read(name);
        }

        foreach ((string name, float[] values) in planted.Where(t => t.Key.EndsWith("k_proj.bias", StringComparison.Ordinal)))
        {
            values[3] += 60;
            values[21] -= 90;
        }

        QuantizedModel model = Quantize(name => planted[name], "planted");
        int[] ids = TinyModel.Tokens(config, 40);
        GraphExporter.WriteBase(model, Exact, model.Folder);
        float[] exact = Logits(model, "base.onnx", ids);
        KeyValueScales channels = KeyValueCalibration.Run(model, CacheFormat.Int8, KeyValueCalibration.Tokens(model), cancellationToken: TestContext.Current.CancellationToken);

        // T_k in closed form: every pair gets the same length, and with it every channel the same scale.
        int size = config.HeadSize;
        double[] Pairs(float[] keys) => [.. Enumerable.Range(0, config.KeyValueHeads * size / 2).Select(p => 127.0 / 2 * keys[(p / (size / 2) * size) + (p % (size / 2))])];
        var transformed = new TransformedModel(config, name => Array.ConvertAll(planted[name], v => (double)v), new ModelTransforms
        {
            Layers = [.. channels.Layers.Select(l => new LayerTransforms { Keys = KeyTransform.FromMaxima(Pairs(l.Keys)) })],
        });
        QuantizedModel folded = Quantize(transformed.ReadSingles, "folded");
        KeyValueScales foldedChannels = KeyValueCalibration.Run(folded, CacheFormat.Int8, KeyValueCalibration.Tokens(folded), cancellationToken: TestContext.Current.CancellationToken);

        double one = Error(model, OneScale(channels));
        double each = Error(model, channels);
        double foldedOne = Error(folded, OneScale(foldedChannels));
        double foldedEach = Error(folded, foldedChannels);
        output.WriteLine($"one scale {one:g3}, one a channel {each:g3}; with T_k {foldedOne:g3} and {foldedEach:g3}");
        Assert.InRange(each, 1e-4, 0.25);
        Assert.True(one > 2 * each, "The planted channels do no harm.");
        Assert.InRange(foldedOne, 0, 2 * each);
        Assert.InRange(foldedEach, 0.7 * each, 1.4 * each);

        double Error(QuantizedModel target, KeyValueScales scales)
        {
            scales.Write(target.Folder);
            QuantizedModel quantized = QuantizedModel.Open(target.Folder);
            GraphExporter.WriteBase(quantized, Exact, target.Folder);
            return LogitsComparison.Compare(exact, Logits(quantized, "base.onnx", ids), config.VocabularySize).Difference;
        }

        // Of the keys alone: values have no huge channels here.
        static KeyValueScales OneScale(KeyValueScales scales) => scales with { Layers = [.. scales.Layers.Select(l => l with { Keys = [.. l.Keys.Select(_ => l.Keys.Max())] })] };
    }

    [Fact]
    public void A_base_that_computes_no_numbers_is_refused_by_layer()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["plain"], config);
        QuantizedModel model = Quantize(name => name == "model.layers.1.self_attn.v_proj.weight" ? [.. checkpoint.Read(name).Select(v => v * 1e38f)] : checkpoint.Read(name), "huge");

        var e = Assert.Throws<ExportException>(() => KeyValueCalibration.Run(model, CacheFormat.Int8, KeyValueCalibration.Tokens(model), cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal("MDL4070", e.Code);
        Assert.Contains("values of layer 1", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("""{ "format": "Int8", "layers": [] }""")]
    [InlineData("""{ "format": "Int9", "layers": [] }""")]
    [InlineData("""{ "format": "Int8", "layers": [{ "keys": [1], "values": [1] }, { "keys": [1], "values": [1] }] }""")]
    public void Damaged_scales_are_refused(string json)
    {
        QuantizedModel model = Quantize();
        File.WriteAllText(Path.Combine(model.Folder, KeyValueScales.FileName), json);

        var e = Assert.Throws<ExportException>(() => QuantizedModel.Open(model.Folder));

        Assert.Equal("MDL4004", e.Code);
        Assert.Contains("cache.json", e.Message, StringComparison.Ordinal);
    }

    private QuantizedModel Quantize()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4 }, folder["model"]);
    }

    private QuantizedModel Quantize(Func<string, float[]> read, string name)
    {
        CheckpointWriter.Write(folder[name], config, read, TensorDType.F32);
        using Checkpoint checkpoint = Checkpoint.Open(folder[name]);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.None }, folder[name + "-model"]);
    }

    private static QuantizedModel Calibrated(QuantizedModel model, CacheFormat format)
    {
        KeyValueCalibration.Run(model, format, KeyValueCalibration.Tokens(model)).Write(model.Folder);
        return QuantizedModel.Open(model.Folder);
    }

    private static float[] Logits(QuantizedModel model, string graph, int[] ids)
    {
        using var weights = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, graph), model.Architecture, weights);
        using KeyValueCache cache = runner.NewCache(1, Context);
        return runner.Run(ids, [ids.Length], [.. Enumerable.Range(0, ids.Length)], cache);
    }

    /// <summary>What a cache in full precision holds of a sequence, by slab: [T, KVH * d].</summary>
    private static float[][] Held(QuantizedModel model, int[] ids, GraphOptions options)
    {
        GraphExporter.WriteBase(model, options, model.Folder);
        using var weights = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, "base.onnx"), model.Architecture, weights);
        using KeyValueCache cache = runner.NewCache(1, Context);
        runner.Run(ids, [ids.Length], [], cache);
        return Slabs(cache, ids.Length, bytes => MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    /// <summary>The stored numbers by slab, [T, KVH * d].</summary>
    private static int[][] Numbers(KeyValueCache cache, CacheFormat format, int tokens) => Slabs(cache, tokens, bytes => format == CacheFormat.Int8
        ? [.. bytes.ToArray().Select(b => (int)(sbyte)b)]
        : (int[])[.. bytes.ToArray().SelectMany(b => (int[])[(b & 15) - 8, (b >> 4) - 8])]);

    private static T[][] Slabs<T>(KeyValueCache cache, int tokens, Func<ReadOnlySpan<byte>, T[]> decode)
    {
        var slabs = new T[cache.Memory.Slabs][];
        for (int slab = 0; slab < slabs.Length; slab++)
        {
            T[][] heads = new T[cache.Memory.KeyValueHeads][];
            for (int head = 0; head < heads.Length; head++)
                heads[head] = decode(cache.Memory.Read(slab, 0, head, tokens));
            int size = heads[0].Length / tokens;
            slabs[slab] = [.. Enumerable.Range(0, tokens).SelectMany(t => heads.SelectMany(h => h[(t * size)..((t + 1) * size)]))];
        }

        return slabs;
    }
}
