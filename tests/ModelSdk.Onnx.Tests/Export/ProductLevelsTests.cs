using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Protobuf;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Export;

/// <summary>accuracy_level of products: 4 unless rounding activations changes what the model says.</summary>
public sealed class ProductLevelsTests : IDisposable
{
    private const string Outlier = "model.layers.1.mlp.down_proj.weight";
    private static readonly TransformerConfig Config = TinyModel.Config(intermediate: 160, layers: 3);
    private static readonly GraphOptions Options = new() { Context = 48 };
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Products_of_a_model_without_outliers_are_rounded()
    {
        QuantizedModel model = Quantize(change: null);
        string[] before = Directory.GetFileSystemEntries(model.Folder);

        ProductLevelChoice choice = ProductLevels.Choose(model, Adapters(), Options, [new ReferenceLogits("think", TinyModel.Tokens(Config, 30), 11, [])], model.Folder, cancellationToken: Cancel);

        Assert.Empty(choice.Exact);
        Assert.Equal(["base", "think"], choice.Checks.Select(c => c.Mode));
        Assert.Equal([40, 59], choice.Checks.Select(c => c.Positions));
        Assert.All(choice.Checks, c => Assert.InRange(c.Difference, 1e-5, c.Bound));
        Assert.Equal(before, Directory.GetFileSystemEntries(model.Folder));
    }

    [Fact]
    public void A_product_whose_input_has_outliers_is_computed_exactly_in_every_graph()
    {
        QuantizedModel model = Quantize(PlantOutliers);

        // The adapter does not read the outliers.
        ProductLevelChoice choice = ProductLevels.Choose(model, Adapters("self_attn.q_proj", "self_attn.v_proj"), Options, [], model.Folder, cancellationToken: Cancel);

        Assert.Equal([Outlier], choice.Exact);
        Assert.All(choice.Checks, c => Assert.InRange(c.Difference, 0, c.Bound));
        GraphOptions options = Options with { ExactProducts = choice.Exact };
        GraphExporter.WriteBase(model, options, model.Folder);
        BundleAdapter written = GraphExporter.WriteAdapter(model, Adapters()["think"], "think", options, model.Folder);
        Assert.Equal([1], Levels(GraphExporter.BaseGraphName, "accuracy_level", Outlier).Distinct());
        Assert.Equal([4], Levels(GraphExporter.BaseGraphName, "accuracy_level", other: Outlier).Distinct());
        Assert.Equal([1], Levels(written.Graph, "accuracy_level", Outlier).Distinct());
        Assert.Equal([1], Levels(written.Graph, "lora_accuracy_level", Outlier).Distinct());
        Assert.Equal([4], Levels(written.Graph, "lora_accuracy_level", other: Outlier).Distinct());

        long[] Levels(string graph, string attribute, string? name = null, string? other = null) =>
        [
            .. ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(model.Folder, graph))).Graph.Node
                .Where(n => name is null ? !n.Input.Contains(other) : n.Input.Contains(name))
                .SelectMany(n => n.Attribute.Where(a => a.Name == attribute).Select(a => a.I)),
        ];
    }

    [Fact]
    public void Where_nothing_may_differ_products_are_exact_until_nothing_does()
    {
        QuantizedModel model = Quantize(change: null);

        ProductLevelChoice choice = ProductLevels.Choose(model, Adapters(), Options, [], model.Folder, new VerificationBounds { ReferenceRounded = 0 }, Cancel);

        Assert.Equal((4 * Config.Layers) + 1, choice.Exact.Count);
        Assert.All(choice.Checks, c => Assert.Equal(0, c.Difference));
    }

    [Fact]
    public void Full_precision_has_nothing_to_choose()
    {
        QuantizedModel model = Quantize(change: null, WeightFormat.None);

        ProductLevelChoice choice = ProductLevels.Choose(model, Adapters(), Options, [], model.Folder, cancellationToken: Cancel);

        Assert.Empty(choice.Exact);
        Assert.Empty(choice.Checks);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static Dictionary<string, LoraAdapter> Adapters(params string[] modules) =>
        new() { ["think"] = TinyModel.Adapter(Config, 8, 16, modules.Length == 0 ? null : modules) };

    /// <summary>One channel of each block of 32 between the MLP's matrices is 2000 times as large, and its weights behind are as much smaller: the function stays.</summary>
    private static void PlantOutliers(string name, float[] values)
    {
        int width = Config.IntermediateSize;
        for (int channel = 0; channel < width; channel += 32)
        {
            if (name == "model.layers.1.mlp.up_proj.weight")
            {
                for (int column = 0; column < Config.HiddenSize; column++)
                    values[(channel * Config.HiddenSize) + column] *= 2000;
            }
            else if (name == Outlier)
            {
                for (int row = 0; row < Config.HiddenSize; row++)
                    values[(row * width) + channel] /= 2000;
            }
        }
    }

    private QuantizedModel Quantize(Action<string, float[]>? change, WeightFormat weights = WeightFormat.Int4)
    {
        using var checkpoint = TinyModel.Write(_folder["base"], Config, change: change);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = weights }, _folder["model"], cancellationToken: Cancel);
    }
}
