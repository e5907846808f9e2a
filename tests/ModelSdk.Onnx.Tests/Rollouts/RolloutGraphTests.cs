using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Rollouts;

public sealed class RolloutGraphTests : IDisposable
{
    private const int Context = 48;

    private static readonly GraphOptions Exact = new() { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 };

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1, null)]
    [InlineData(8, null)]
    [InlineData(16, "self_attn.v_proj mlp.up_proj")]
    [InlineData(16, "self_attn.o_proj")]
    public void A_rollout_graph_computes_base_plus_LoRA_in_full_precision(int rank, string? modules)
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config);
        LoraAdapter adapter = TinyModel.Adapter(config, rank, 3 * rank, modules?.Split(' '));
        int[] ids = TinyModel.Tokens(config, 20);

        float[] logits = Rollout(model, adapter, Exact, ids);

        double[][] expected = new ReferenceTransformer(config, model.ReadDequantized, adapter).Forward(ids);
        Assert.InRange(LogitsComparison.Compare(Flat(expected), logits, config.VocabularySize).Greatest, 0, 1e-4);
    }

    [Fact]
    public void Without_an_adapter_it_computes_exactly_what_the_base_graph_computes()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config);
        GraphOptions options = new() { Context = Context };
        string graph = GraphExporter.WriteRollout(model, ["q_proj", "down_proj"], options, model.Folder);
        GraphExporter.WriteBase(model, options, model.Folder);
        int[] ids = TinyModel.Tokens(config, 20);
        using var weights = new MappedWeights(model);

        Assert.Equal(Run(model, weights, GraphExporter.BaseGraphName, null, ids), Run(model, weights, graph, null, ids));
    }

    [Fact]
    public void It_differs_from_the_deployed_graph_by_the_rounding_of_its_LoRA_alone()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config);
        LoraAdapter adapter = TinyModel.Adapter(config, 16, 32);
        BundleAdapter deployed = GraphExporter.WriteAdapter(model, adapter, "arithmetic", Exact, model.Folder);
        int[] ids = TinyModel.Tokens(config, 20);
        using var weights = new MappedWeights(model);

        float[] expected = Run(model, weights, deployed.Graph, null, ids);

        Assert.InRange(LogitsComparison.Compare(expected, Rollout(model, adapter, Exact, ids), config.VocabularySize).Difference, 1e-6, 0.05);
        Assert.InRange(LogitsComparison.Compare(expected, Rollout(model, GraphExporter.AsDeployed(model, adapter), Exact, ids), config.VocabularySize).Greatest, 0, 1e-4);
    }

    [Fact]
    public void Adapters_that_are_not_the_graphs_are_refused()
    {
        TransformerConfig config = TinyModel.Config();
        QuantizedModel model = Quantize(config);
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        using var memory = new LoraMemory(model, ["q_proj"], 8);

        Assert.Equal("MDL4012", Assert.Throws<ExportException>(() => Set(adapter)).Code);
        Assert.Equal("MDL4012", Assert.Throws<ExportException>(() => Set(TinyModel.Adapter(config, 4, 8, ["self_attn.q_proj"]))).Code);
        LoraAdapter broken = TinyModel.Adapter(config, 8, 16, ["self_attn.q_proj"]);
        broken.Linears["model.layers.1.self_attn.q_proj"].B[5] = float.NaN;
        Assert.Equal("MDL4002", Assert.Throws<ExportException>(() => Set(broken)).Code);
        Assert.Equal("MDL4012", Assert.Throws<ExportException>(() => GraphExporter.WriteRollout(model, ["conv_proj"], Exact, model.Folder)).Code);

        void Set(LoraAdapter lora) => memory.Set(lora.Linears.ToDictionary(l => l.Key, l => (l.Value.A, l.Value.B)), lora.Scale);
    }

    private static float[] Rollout(QuantizedModel model, LoraAdapter adapter, GraphOptions options, int[] ids)
    {
        string graph = GraphExporter.WriteRollout(model, adapter.Targets, options, model.Folder);
        using var weights = new MappedWeights(model);
        using var memory = new LoraMemory(model, adapter.Targets, adapter.Rank);
        memory.Set(adapter.Linears.ToDictionary(l => l.Key, l => (l.Value.A, l.Value.B)), adapter.Scale);
        return Run(model, weights, graph, memory, ids);
    }

    private static float[] Run(QuantizedModel model, MappedWeights weights, string graph, LoraMemory? memory, int[] ids)
    {
        using var runner = new GraphRunner(Path.Combine(model.Folder, graph), model.Architecture, weights, memory?.Inputs);
        using var cache = new KeyValueCache(model.Architecture, 1, Context);
        return runner.Run(ids, [ids.Length], [.. Enumerable.Range(0, ids.Length)], cache);
    }

    private static float[] Flat(double[][] logits) => [.. logits.SelectMany(row => row).Select(v => (float)v)];

    private QuantizedModel Quantize(TransformerConfig config)
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Block = 32, Embeddings = WeightFormat.Int8 }, folder["model"]);
    }
}
