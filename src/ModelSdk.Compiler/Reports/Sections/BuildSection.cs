using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>What the build took, and what it made.</summary>
internal static class BuildSection
{
    public const string Id = "build";
    public const string Title = "Build and size";

    public static Html? Write(JsonObject report)
    {
        JsonNode[] stages = [.. report["stages"]!.AsArray().Select(s => s!)];
        JsonNode sizes = report["sizes"]!;
        double seconds = stages.Sum(s => s["seconds"].Number());
        BarChart time = new()
        {
            Bars = [.. stages.Select(s => new Bar(Name(s), s["seconds"].Number(), $"{Page.Number(s["seconds"].Number(), 1)} s", s["cached"]!.GetValue<bool>() ? SeriesStyle.Reference : SeriesStyle.Main))],
        };
        List<Bar> parts = [new("base weights", sizes["weightBytes"].Number(), Page.Bytes(sizes["weightBytes"].Number()))];
        foreach ((string adapter, JsonNode? bytes) in sizes["adapterBytes"]!.AsObject())
        {
            parts.Add(new Bar($"adapter {adapter}", bytes.Number(), Page.Bytes(bytes.Number())));
        }

        double rest = sizes["bundleBytes"].Number() - parts.Sum(p => p.Value);
        parts.Add(new Bar("graphs, tokenizer, other files", rest, Page.Bytes(rest)));
        BarChart size = new()
        {
            Bars = parts,
        };
        bool anyCached = stages.Any(s => s["cached"]!.GetValue<bool>());
        Html table = Page.Table(["stage", "seconds", "peak memory, MiB", "this build "], stages.Select(s => (string[])
        [
            Name(s),
            Page.Number(s["seconds"].Number(), 1),
            Page.Number(s["peakRssMb"].Number()),
            s["cached"]!.GetValue<bool>() ? "from the store" : "made",
        ]));
        return Page.Section(
            Id,
            Title,
            new Html().Add($"Making every stage takes {Duration(seconds)} on this machine{(anyCached ? "; stages in grey were in the store already, with the time they took when they were made" : "")}. The bundle has {Page.Bytes(sizes["bundleBytes"].Number())}."),
            Page.Figures([Page.Figure("Time of each stage", new Html(), time.Draw(), table), Page.Figure("What the bundle consists of", new Html(), size.Draw())]));
    }

    private static string Name(JsonNode stage) => stage["adapter"] is JsonNode adapter ? $"{(string?)stage["name"]} {(string?)adapter}" : (string?)stage["name"] ?? "";

    private static string Duration(double seconds) => seconds < 90 ? $"{Page.Number(seconds)} seconds" : $"{Page.Number(seconds / 60, 1)} minutes";
}
