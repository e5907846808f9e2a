using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>How near the exported graphs are to what was trained.</summary>
internal static class ExportSection
{
    public const string Id = "export";
    public const string Title = "Exported graphs";

    public static Html? Write(JsonObject report)
    {
        if (report["parity"] is not JsonObject { Count: > 0 } parity)
        {
            return null;
        }

        IEnumerable<string[]> rows = parity.SelectMany(mode => mode.Value!.AsObject().Select(check => (string[])
        [
            mode.Key,
            check.Key,
            Page.Number(check.Value!["positions"].Number()),
            Small(check.Value["difference"].Number()),
            Small(check.Value["bound"].Number()),
            Small(check.Value["greatestDifference"].Number()),
            Page.Percent(check.Value["argmaxAgreement"].Number()),
        ]));
        return Page.Section(
            Id,
            Title,
            new Html().Add($"Each graph was run before it was shipped: in several ways against itself, and on real prompts against Torch. Differences are shares of the logits’ root mean square."),
            Page.Table(["mode", "comparison ", "positions", "difference (RMS)", "allowed", "of a single logit", "same likeliest token"], rows));
    }

    private static string Small(double value) => value is 0 or >= 0.001 ? value.ToString("0.####", CultureInfo.InvariantCulture) : value.ToString("0.0e0", CultureInfo.InvariantCulture);
}
