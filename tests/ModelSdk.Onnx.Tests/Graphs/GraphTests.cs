using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Graphs;

public sealed class GraphTests : IDisposable
{
    private const int Context = 48;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true, WeightFormat.None, WeightFormat.None, 1e-4)]
    [InlineData(false, WeightFormat.None, WeightFormat.None, 1e-4)]
    [InlineData(true, WeightFormat.Int4, WeightFormat.Int8, 1e-4)]
    [InlineData(false, WeightFormat.Int4, WeightFormat.Int8, 1e-4)]
    [InlineData(true, WeightFormat.Int4, WeightFormat.Int4, 1e-4)]
    [InlineData(true, WeightFormat.Int8, WeightFormat.Int8, 1e-4)]
    [InlineData(false, WeightFormat.Int8, WeightFormat.Int4, 1e-4)]
    [InlineData(true, WeightFormat.Int2, WeightFormat.Int8, 1e-4)]
    [InlineData(false, WeightFormat.Int2, WeightFormat.Int4, 1e-4)]
    public void Base_graph_in_fp32_compute_equals_the_double_reference(bool tied, WeightFormat weights, WeightFormat embeddings, double bound)
    {
        TransformerConfig config = TinyModel.Config(tied);
        QuantizedModel model = Quantize(config, weights, embeddings);
        GraphExporter.WriteBase(model, new GraphOptions { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);

        float[] logits = RunAll(model, "base.onnx", ids);

        Assert.InRange(MaxDifference(new ReferenceTransformer(config, model.ReadDequantized).Forward(ids), logits), 0, bound);
    }

    [Theory]
    [InlineData(WeightFormat.Int4, 4)]
    [InlineData(WeightFormat.Int8, 4)]
    [InlineData(WeightFormat.Int2, 4)]
    public void Default_accuracy_level_stays_near_the_double_reference(WeightFormat weights, int level)
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, weights, WeightFormat.Int8);
        GraphExporter.WriteBase(model, new GraphOptions { Context = Context, Int4AccuracyLevel = level, Int8AccuracyLevel = level }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);
        double[][] expected = new ReferenceTransformer(config, model.ReadDequantized).Forward(ids);

        float[] logits = RunAll(model, "base.onnx", ids);

        double spread = Math.Sqrt(expected.SelectMany(r => r).Average(v => v * v));
        Assert.InRange(MaxDifference(expected, logits) / spread, 0, 0.15);
    }

    [Theory]
    [InlineData(WeightFormat.Int2, 128)]
    [InlineData(WeightFormat.Int2, 256)]
    [InlineData(WeightFormat.Int4, 256)]
    public void Long_blocks_equal_the_double_reference(WeightFormat weights, int block)
    {
        TransformerConfig config = TinyModel.Config(hidden: 256, intermediate: 512);
        QuantizedModel model = Quantize(config, weights, WeightFormat.Int8, block);
        GraphExporter.WriteBase(model, new GraphOptions { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);

        float[] logits = RunAll(model, "base.onnx", ids);

        Assert.InRange(MaxDifference(new ReferenceTransformer(config, model.ReadDequantized).Forward(ids), logits), 0, 2e-4);
    }

    [Theory]
    [InlineData(WeightFormat.None, 8)]
    [InlineData(WeightFormat.Int4, 8)]
    [InlineData(WeightFormat.Int4, 16)]
    [InlineData(WeightFormat.Int8, 48)]
    [InlineData(WeightFormat.Int2, 8)]
    public void Adapter_graph_equals_the_double_reference(WeightFormat weights, int rank)
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, weights, WeightFormat.Int8);
        LoraAdapter adapter = TinyModel.Adapter(config, rank, 2 * rank);
        BundleAdapter written = GraphExporter.WriteAdapter(model, adapter, "arithmetic", new GraphOptions { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);
        double[][] exact = new ReferenceTransformer(config, model.ReadDequantized, adapter).Forward(ids);
        double[][] deployed = new ReferenceTransformer(config, model.ReadDequantized, GraphExporter.AsDeployed(model, adapter)).Forward(ids);
        double[][] without = new ReferenceTransformer(config, model.ReadDequantized).Forward(ids);

        float[] logits = RunAll(model, written.Graph, ids);

        double spread = Math.Sqrt(exact.SelectMany(r => r).Average(v => v * v));
        Assert.InRange(MaxDifference(deployed, logits), 0, 1e-4);
        Assert.InRange(MaxDifference(exact, logits) / spread, 0, weights == WeightFormat.None ? 1e-4 : 0.25);
        Assert.True(MaxDifference(without, logits) / spread > 0.5, "The adapter changes nothing.");
    }

    [Fact]
    public void No_position_asked_for_gives_no_logits_and_still_fills_the_cache()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, WeightFormat.Int4, WeightFormat.Int8);
        GraphExporter.WriteBase(model, new GraphOptions { Context = Context }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 20);
        float[] expected = RunAll(model, "base.onnx", ids)[^config.VocabularySize..];
        using var weights = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, "base.onnx"), config, weights);
        using var cache = new KeyValueCache(config, 1, Context);

        Assert.Empty(runner.Run(ids.AsSpan(0, 19), [19], [], cache));
        float[] logits = runner.Run(ids.AsSpan(19), [20], [0], cache);

        Assert.InRange(LogitsComparison.Compare(expected, logits, config.VocabularySize).Difference, 0, 0.05);
    }

    [Fact]
    public void Graphs_apart_from_the_weight_file_can_be_verified()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, WeightFormat.Int4, WeightFormat.Int8);
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        GraphOptions options = new() { Context = Context };
        GraphExporter.WriteBase(model, options, folder["graphs"]);
        BundleAdapter written = GraphExporter.WriteAdapter(model, adapter, "think", options, folder["graphs"]);

        VerificationReport report = ExportVerifier.Verify(model, folder["graphs"], [written], options, [], null, TestContext.Current.CancellationToken);

        Assert.Equal(7, report.Checks.Count);
        Assert.Equal(["adapters", "base.onnx", "think.onnx"], Directory.GetFileSystemEntries(folder["graphs"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Two_graphs_over_the_same_inputs_have_the_same_bytes()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, WeightFormat.Int4, WeightFormat.Int8);
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        foreach (string target in (string[])["a", "b"])
        {
            GraphExporter.WriteBase(model, new GraphOptions { Context = Context }, folder[target]);
            GraphExporter.WriteAdapter(model, adapter, "think", new GraphOptions { Context = Context }, folder[target]);
        }

        foreach (string file in (string[])["base.onnx", "think.onnx", "adapters/think/adapter.bin"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["a"], file)), File.ReadAllBytes(Path.Combine(folder["b"], file)));
    }

    [Fact]
    public void A_context_beyond_the_positions_of_the_base_is_refused()
    {
        QuantizedModel model = Quantize(TinyModel.Config(positions: 32), WeightFormat.Int4, WeightFormat.Int8);

        var e = Assert.Throws<ExportException>(() => GraphExporter.WriteBase(model, new GraphOptions { Context = 33 }, folder["model"]));

        Assert.Equal("MDL4020", e.Code);
        Assert.Contains("33", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_of_another_base_is_refused_by_the_linears_name()
    {
        QuantizedModel model = Quantize(TinyModel.Config(), WeightFormat.Int4, WeightFormat.Int8);
        GraphOptions options = new() { Context = Context };

        var shape = Assert.Throws<ExportException>(() => GraphExporter.WriteAdapter(model, TinyModel.Adapter(TinyModel.Config(intermediate: 96), 8, 16), "a", options, folder["model"]));
        var layer = Assert.Throws<ExportException>(() => GraphExporter.WriteAdapter(model, TinyModel.Adapter(TinyModel.Config(layers: 3), 8, 16), "a", options, folder["model"]));

        Assert.Equal(("MDL4012", "MDL4012"), (shape.Code, layer.Code));
        Assert.Contains("model.layers.0.mlp.gate_proj", shape.Message, StringComparison.Ordinal);
        Assert.Contains("model.layers.2.self_attn.q_proj", layer.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_of_some_linears_only_leaves_the_others_as_they_are()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config, WeightFormat.Int4, WeightFormat.Int8);
        LoraAdapter adapter = TinyModel.Adapter(config, 16, 32, ["self_attn.v_proj", "mlp.up_proj"]);
        BundleAdapter written = GraphExporter.WriteAdapter(model, adapter, "some", new GraphOptions { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 }, folder["model"]);
        int[] ids = TinyModel.Tokens(config, 12);

        float[] logits = RunAll(model, written.Graph, ids);

        Assert.InRange(MaxDifference(new ReferenceTransformer(config, model.ReadDequantized, GraphExporter.AsDeployed(model, adapter)).Forward(ids), logits), 0, 1e-4);
    }

    private QuantizedModel Quantize(TransformerConfig config, WeightFormat weights, WeightFormat embeddings, int block = 32)
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = weights, Block = block, Embeddings = embeddings }, folder["model"]);
    }

    private static float[] RunAll(QuantizedModel model, string graph, int[] ids)
    {
        using var weights = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, graph), model.Architecture, weights);
        using var cache = new KeyValueCache(model.Architecture, 1, Context);
        return runner.Run(ids, [ids.Length], [.. Enumerable.Range(0, ids.Length)], cache);
    }

    private static double MaxDifference(double[][] expected, float[] logits)
    {
        double most = 0;
        for (int t = 0; t < expected.Length; t++)
        {
            for (int v = 0; v < expected[t].Length; v++)
                most = Math.Max(most, Math.Abs(expected[t][v] - logits[(t * expected[t].Length) + v]));
        }

        return most;
    }
}
