using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Export;

public sealed class ExportVerifierTests(ITestOutputHelper output) : IDisposable
{
    private const int Context = 48;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true, WeightFormat.None, 1)]
    [InlineData(true, WeightFormat.Int4, 1)]
    [InlineData(true, WeightFormat.Int4, 4)]
    [InlineData(false, WeightFormat.Int4, 4)]
    [InlineData(false, WeightFormat.Int8, 4)]
    public void Export_passes_its_own_verification_with_references_of_every_mode(bool tied, WeightFormat weights, int level)
    {
        TransformerConfig config = TinyModel.Config(tied);
        GraphOptions options = new() { Context = Context, Int4AccuracyLevel = level, Int8AccuracyLevel = level };
        (QuantizedModel model, BundleAdapter written, LoraAdapter adapter) = Export(config, weights, options);
        int[] ids = TinyModel.Tokens(config, 30);

        VerificationReport report = ExportVerifier.Verify(
            model, model.Folder, [written], options,
            [BaseReference(model, ids), MaskedReference(model, GraphExporter.AsDeployed(model, adapter), ids, 11)],
            new VerificationBounds { ArgmaxAgreement = level == 4 ? 0.8 : 1 }, TestContext.Current.CancellationToken);

        foreach (VerificationCheck check in report.Checks)
            output.WriteLine($"{check.Mode,-12} {check.Name,-45} {check.Difference:g3} of {check.Bound:g3}, worst {check.GreatestDifference:g3}, argmax {check.ArgmaxAgreement:p1}");
        Assert.Equal(9, report.Checks.Count);
        Assert.Equal(["adapters", "base.onnx", "think.onnx", "weights.bin", "weights.json"], Directory.GetFileSystemEntries(model.Folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(["think"], Directory.GetDirectories(Path.Combine(model.Folder, "adapters")).Select(Path.GetFileName));
    }

    [Fact]
    public void Wrong_reference_logits_fail_with_mode_and_amount()
    {
        TransformerConfig config = TinyModel.Config();
        GraphOptions options = new() { Context = Context };
        (QuantizedModel model, BundleAdapter written, LoraAdapter adapter) = Export(config, WeightFormat.Int4, options);
        int[] ids = TinyModel.Tokens(config, 20);

        // The base's logits are not the adapter's.
        ReferenceLogits wrong = BaseReference(model, ids) with { Mode = "think" };
        var e = Assert.Throws<ExportException>(() => ExportVerifier.Verify(model, model.Folder, [written], options, [wrong], null, TestContext.Current.CancellationToken));

        Assert.Equal("MDL4030", e.Code);
        Assert.Contains("Mode think: \"ONNX Runtime = reference\"", e.Message, StringComparison.Ordinal);
        Assert.Matches(@"differ by \d[\d.e+-]* of their root mean square \(the worst by \d[\d.e+-]*\); allowed is 0.1", e.Message);
        // An adapter that starts at another token is another computation, too.
        ReferenceLogits shifted = MaskedReference(model, GraphExporter.AsDeployed(model, adapter), ids, 8);
        shifted = shifted with { Start = 9, Logits = shifted.Logits[config.VocabularySize..] };
        Assert.Throws<ExportException>(() => ExportVerifier.Verify(model, model.Folder, [written], options, [shifted], null, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_damaged_graph_fails_naming_the_file()
    {
        GraphOptions options = new() { Context = Context };
        (QuantizedModel model, BundleAdapter written, _) = Export(TinyModel.Config(), WeightFormat.Int4, options);
        string path = Path.Combine(model.Folder, written.Graph);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^500]);

        var e = Assert.Throws<ExportException>(() => ExportVerifier.Verify(model, model.Folder, [written], options, [], null, TestContext.Current.CancellationToken));

        Assert.Equal("MDL4031", e.Code);
        Assert.Contains("think.onnx", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_adapter_weights_fail_against_the_reference()
    {
        GraphOptions options = new() { Context = Context };
        (QuantizedModel model, BundleAdapter written, LoraAdapter adapter) = Export(TinyModel.Config(), WeightFormat.Int4, options);
        int[] ids = TinyModel.Tokens(model.Architecture, 20);
        ReferenceLogits reference = MaskedReference(model, GraphExporter.AsDeployed(model, adapter), ids, 5);
        GraphExporter.WriteAdapter(model, adapter with { Alpha = 3 * adapter.Alpha }, "think", options, model.Folder);

        var e = Assert.Throws<ExportException>(() => ExportVerifier.Verify(model, model.Folder, [written], options, [reference], null, TestContext.Current.CancellationToken));

        Assert.Equal("MDL4030", e.Code);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Of_a_model_too_large_to_run_every_graph_is_loaded_and_the_first_layers_are_run(bool tied)
    {
        GraphOptions options = new() { Context = Context };
        (QuantizedModel model, BundleAdapter written, _) = Export(TinyModel.Config(tied, layers: 3), WeightFormat.Int4, options);
        string[] before = Directory.GetFileSystemEntries(model.Folder);
        VerificationReport Verify() => ExportVerifier.Verify(model, model.Folder, [written], options, [], null, mostBytes: 1, TestContext.Current.CancellationToken);

        Assert.Equal(3, Verify().Checks.Count); // the base's first layer against itself
        Assert.Equal(before, Directory.GetFileSystemEntries(model.Folder));

        QuantizedModel first = model.FirstLayers(1);
        int[] ids = TinyModel.Tokens(first.Architecture, 12);
        GraphExporter.WriteBase(first, options, folder["first"]);
        Assert.Equal(4, ExportVerifier.Verify(first, folder["first"], [], options, [BaseReference(first, ids)], new VerificationBounds { ArgmaxAgreement = 0.8 }, TestContext.Current.CancellationToken).Checks.Count);

        string path = Path.Combine(model.Folder, written.Graph);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^500]);
        Assert.Equal("MDL4031", Assert.Throws<ExportException>(Verify).Code);
    }

    private (QuantizedModel Model, BundleAdapter Written, LoraAdapter Adapter) Export(TransformerConfig config, WeightFormat weights, GraphOptions options)
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        QuantizedModel model = QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = weights }, folder["model"], cancellationToken: TestContext.Current.CancellationToken);
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        GraphExporter.WriteBase(model, options, model.Folder);
        return (model, GraphExporter.WriteAdapter(model, adapter, "think", options, model.Folder), adapter);
    }

    private static ReferenceLogits BaseReference(QuantizedModel model, int[] ids)
        => new("base", ids, 0, Flat(new ReferenceTransformer(model.Architecture, model.ReadDequantized).Forward(ids)));

    private static ReferenceLogits MaskedReference(QuantizedModel model, LoraAdapter adapter, int[] ids, int start)
        => new("think", ids, start, Flat(new ReferenceTransformer(model.Architecture, model.ReadDequantized, adapter, start).Forward(ids)[start..]));

    private static float[] Flat(double[][] logits) => [.. logits.SelectMany(row => row).Select(v => (float)v)];
}
