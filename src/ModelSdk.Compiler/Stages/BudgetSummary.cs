using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Stages;

/// <summary>How budget forcing went: training.json in the entry of the budget stage. Lists have one value a step.</summary>
/// <param name="Prompts">Questions that prompts were drawn from.</param>
/// <param name="Reward">Mean reward of all samples, 0 to 1.</param>
/// <param name="Accuracy">Share of right samples, 0 to 1.</param>
/// <param name="MeanTokens">Mean generated tokens of a sample.</param>
/// <param name="WithinBudget">Share of the samples with a stated budget that kept to it, 0 to 1; null in a step that stated none.</param>
/// <param name="Kl">Mean k3 estimate of the divergence from the reference, a token.</param>
/// <param name="Loss">Loss.</param>
/// <param name="GradientNorm">L2 norm of the gradients before clipping.</param>
/// <param name="ZeroDeviation">Share of the groups whose samples all got one reward, 0 to 1.</param>
/// <param name="Clipped">Share of the tokens whose ratio was clipped, 0 to 1.</param>
/// <param name="LogProbDisagreement">Mean |sampler - trainer| of the log-probability of a sampled token.</param>
internal sealed record BudgetSummary(
    int Prompts,
    IReadOnlyList<double> Reward,
    IReadOnlyList<double> Accuracy,
    IReadOnlyList<double> MeanTokens,
    IReadOnlyList<double?> WithinBudget,
    IReadOnlyList<double> Kl,
    IReadOnlyList<double> Loss,
    IReadOnlyList<double> GradientNorm,
    IReadOnlyList<double> ZeroDeviation,
    IReadOnlyList<double> Clipped,
    IReadOnlyList<double> LogProbDisagreement)
{
    public const string FileName = "training.json";

    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, BudgetSummaryJson.Default.BudgetSummary));

    public static BudgetSummary Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), BudgetSummaryJson.Default.BudgetSummary) ?? throw new JsonException($"{path} is empty.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(BudgetSummary))]
internal sealed partial class BudgetSummaryJson : JsonSerializerContext;
