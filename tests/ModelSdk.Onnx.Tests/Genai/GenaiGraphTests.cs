using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Genai;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Genai;

public sealed class GenaiGraphTests : IDisposable
{
    private static readonly GraphOptions Exact = new() { Context = 48, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 };

    private readonly TemporaryFolder folder = new();
    private readonly TransformerConfig config = TinyModel.Config();

    public void Dispose() => folder.Dispose();

    /// <summary>Adapters of other linears and ranks share one graph: what one of them lacks is the empty default.</summary>
    [Theory]
    [InlineData(CacheFormat.None)]
    [InlineData(CacheFormat.Int8)]
    public void One_graph_runs_the_base_and_every_adapters_file(CacheFormat cache)
    {
        QuantizedModel model = Quantize();
        if (cache != CacheFormat.None)
        {
            KeyValueCalibration.Run(model, cache, [TinyModel.Tokens(config, 30)], cancellationToken: TestContext.Current.CancellationToken).Write(model.Folder);
            model = QuantizedModel.Open(model.Folder);
        }

        Dictionary<string, LoraAdapter> adapters = new()
        {
            ["all"] = TinyModel.Adapter(config, 8, 16),
            ["some"] = TinyModel.Adapter(config, 16, 32, ["self_attn.q_proj", "mlp.down_proj"], seed: 7),
        };
        GraphExporter.WriteBase(model, Exact, model.Folder);
        BundleAdapter[] written = [.. adapters.Select(a => GraphExporter.WriteAdapter(model, a.Value, a.Key, Exact, model.Folder))];

        IReadOnlyList<string> files = GraphExporter.WriteGenai(model, adapters, Exact, model.Folder);

        Assert.Equal(["genai.onnx", "adapters/all/all.onnx_adapter", "adapters/some/some.onnx_adapter"], files);
        VerificationReport report = ExportVerifier.VerifyGenai(model, model.Folder, written, Exact);
        Assert.Equal(["base", "all", "some"], report.Checks.Select(c => c.Mode));
        Assert.All(report.Checks, c => Assert.InRange(c.Difference, 0, cache == CacheFormat.None ? 1e-5 : 0.1));
    }

    [Fact]
    public void A_file_that_is_not_the_adapters_is_found_out()
    {
        QuantizedModel model = Quantize();
        GraphExporter.WriteBase(model, Exact, model.Folder);
        BundleAdapter written = GraphExporter.WriteAdapter(model, TinyModel.Adapter(config, 8, 16), "all", Exact, model.Folder);
        GraphExporter.WriteGenai(model, new Dictionary<string, LoraAdapter> { ["all"] = TinyModel.Adapter(config, 8, 16, seed: 9) }, Exact, model.Folder);
        Assert.Equal("MDL4030", Assert.Throws<ExportException>(() => ExportVerifier.VerifyGenai(model, model.Folder, [written], Exact)).Code);

        string file = Path.Combine(model.Folder, "adapters", "all", "all.onnx_adapter");
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..100]);
        Assert.Equal("MDL4031", Assert.Throws<ExportException>(() => ExportVerifier.VerifyGenai(model, model.Folder, [written], Exact)).Code);
    }

    [Fact]
    public void The_same_adapter_gives_the_same_bytes()
    {
        QuantizedModel model = Quantize();
        Dictionary<string, LoraAdapter> adapters = new() { ["all"] = TinyModel.Adapter(config, 8, 16) };
        foreach (string name in (string[])["one", "two"])
            GraphExporter.WriteGenai(model, adapters, Exact, folder[name]);
        foreach (string file in (string[])["genai.onnx", "adapters/all/all.onnx_adapter"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["one"], file)), File.ReadAllBytes(Path.Combine(folder["two"], file)));
        using OrtLoraAdapter loaded = OrtLoraAdapter.Create(Path.Combine(folder["one"], "adapters/all/all.onnx_adapter"), null);
        Assert.False(loaded.IsInvalid);
    }

    [Fact]
    public void The_config_names_what_the_graph_has()
    {
        QuantizedModel model = Quantize();
        GraphExporter.WriteGenai(model, new Dictionary<string, LoraAdapter>(), Exact, model.Folder);
        GenaiConfig.Write(config, 48, [3, 5], 3, model.Folder);
        JsonNode root = JsonNode.Parse(File.ReadAllText(Path.Combine(model.Folder, "genai_config.json")))!["model"]!;
        using InferenceSession session = new(Path.Combine(model.Folder, (string)root["decoder"]!["filename"]!));
        string[] Names(string side) => [.. root["decoder"]![side]!.AsObject().SelectMany(n => n.Value!.ToString() is var name && name.Contains("%d", StringComparison.Ordinal)
            ? Enumerable.Range(0, (int)root["decoder"]!["num_hidden_layers"]!).Select(i => name.Replace("%d", $"{i}", StringComparison.Ordinal))
            : [name])];
        Assert.Equal(session.InputMetadata.Keys.Order(StringComparer.Ordinal), Names("inputs").Order(StringComparer.Ordinal));
        Assert.Equal(session.OutputMetadata.Keys.Order(StringComparer.Ordinal), Names("outputs").Order(StringComparer.Ordinal));
        Assert.Equal([3, 5], root["eos_token_id"]!.AsArray().Select(t => (int)t!));
        Assert.Equal((3, 48, config.VocabularySize, "qwen2"), ((int)root["pad_token_id"]!, (int)root["context_length"]!, (int)root["vocab_size"]!, (string)root["type"]!));
    }

    private QuantizedModel Quantize()
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Block = 32, Embeddings = WeightFormat.Int8 }, folder["model"]);
    }
}
