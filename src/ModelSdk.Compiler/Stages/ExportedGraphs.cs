using System.Text.Json;
using System.Text.Json.Serialization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Stages;

/// <summary>What the export stage wrote: graphs.json in its entry.</summary>
/// <param name="Files">Graphs and adapter weights, relative to the entry and to the bundle.</param>
/// <param name="Adapters">The adapters as model.json lists them.</param>
/// <param name="Encoder">The graph that encodes prompts beside a quantized cache; null where the base's does.</param>
/// <param name="Prefill">The graph that encodes prompts and holds the switcher; null without one.</param>
internal sealed record ExportedGraphs(IReadOnlyList<string> Files, IReadOnlyList<BundleAdapter> Adapters, string? Encoder = null, string? Prefill = null)
{
    public const string FileName = "graphs.json";

    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, ExportedGraphsJson.Default.ExportedGraphs));

    public static ExportedGraphs Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), ExportedGraphsJson.Default.ExportedGraphs) ?? throw new JsonException($"{path} is empty.");
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, NewLine = "\n")]
[JsonSerializable(typeof(ExportedGraphs))]
internal sealed partial class ExportedGraphsJson : JsonSerializerContext;
