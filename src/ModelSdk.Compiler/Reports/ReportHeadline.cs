using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports;

/// <summary>What was measured, in one line: what a build says when it has made a bundle.</summary>
internal static class ReportHeadline
{
    /// <summary>Accuracy and tokens of the deployed mode, how much shorter it became, and the gates; null when nothing was measured.</summary>
    public static string? Of(JsonObject report)
    {
        if (report["evaluation"] is not JsonObject evaluation)
        {
            return null;
        }

        string mode = evaluation["deployedMode"]!.GetValue<string>();
        List<string> parts = [string.Create(CultureInfo.InvariantCulture, $"{mode} {Percent(evaluation["deployed"])} right with {evaluation["deployed"]!["meanTokens"].Number():F0} tokens")];
        if (mode != "base")
        {
            parts[0] += $" (base {Percent(evaluation["base"])})";
        }

        if (report["lengthReduction"] is JsonObject reduction)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{reduction["mean"].Number():F1} times shorter than after SFT"));
        }

        if (report["gates"] is JsonArray { Count: > 0 } gates)
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{gates.Count(g => g!["passed"]!.GetValue<bool>())} of {gates.Count} gates passed"));
        }

        return string.Join(", ", parts);
    }

    private static string Percent(JsonNode? mode) => string.Create(CultureInfo.InvariantCulture, $"{mode!["accuracy"].Number() * 100:F1}%");
}
