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
    [InlineData(WeightFormat.None, 8)]
    [InlineData(WeightFormat.Int4, 8)]
    [InlineData(WeightFormat.Int4, 16)]
    [InlineData(WeightFormat.Int8, 48)]
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
