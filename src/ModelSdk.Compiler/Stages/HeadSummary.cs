using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Stages;

/// <summary>How a head's training went: training.json in the entry of the switcher and verifier stages.</summary>
/// <param name="Examples">Prompts (switcher) or sampled answers (verifier).</param>
/// <param name="HeldOut">Those that were held out.</param>
/// <param name="Auc">Area under the ROC curve on the held-out ones; null where it is not defined.</param>
/// <param name="Right">Share of the held-out prompts whose likeliest mode is right (switcher); share of right answers among all samples (verifier).</param>
/// <param name="Loss">Loss of each step.</param>
internal sealed record HeadSummary(int Examples, int HeldOut, double? Auc, double Right, IReadOnlyList<double> Loss)
{
    public const string FileName = "training.json";

    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, HeadSummaryJson.Default.HeadSummary));

    public static HeadSummary Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), HeadSummaryJson.Default.HeadSummary) ?? throw new JsonException($"{path} is empty.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HeadSummary))]
internal sealed partial class HeadSummaryJson : JsonSerializerContext;
