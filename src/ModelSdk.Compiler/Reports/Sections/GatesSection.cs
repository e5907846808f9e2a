using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>The conditions that the manifest sets, and whether they hold.</summary>
internal static class GatesSection
{
    public const string Id = "gates";
    public const string Title = "Gates";

    public static Html? Write(JsonObject report)
    {
        if (report["gates"] is not JsonArray { Count: > 0 } gates)
        {
            return null;
        }

        return Page.Section(Id, Title, new Html().Add($"What the manifest asks of this model. A gate that fails stops the build."), Page.Table(
            ["gate", "result ", "measured", "threshold"],
            gates.Select(gate => (string[])
            [
                (string?)gate!["name"] ?? "",
                gate["passed"]!.GetValue<bool>() ? "✓ passed" : "✗ failed",
                gate["measured"] is JsonNode measured ? Text(measured.Number()) : "not measured",
                Text(gate["threshold"].Number()),
            ])));
    }

    private static string Text(double value) => value.ToString("0.####", System.Globalization.CultureInfo.InvariantCulture);
}
