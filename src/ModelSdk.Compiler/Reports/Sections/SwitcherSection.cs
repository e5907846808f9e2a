using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>What the switcher saves: accuracy against what is routed to reasoning (paper 3).</summary>
internal static class SwitcherSection
{
    public const string Id = "switcher";
    public const string Title = "Switcher";

    public static Html? Write(JsonObject report)
    {
        if (report["switcher"] is not JsonObject switcher)
        {
            return null;
        }

        JsonNode[] curve = [.. switcher["curve"]!.AsArray().Select(p => p!)];
        Html lead = new Html().Add($"The score tells questions that need reasoning from easy ones with an area under the curve of {Page.Number(switcher["auc"].Number(), 3)}");
        if (switcher["lengthAuc"] is JsonNode length)
        {
            lead.Add($" (the length of the prompt alone: {Page.Number(length.Number(), 3)})");
        }

        lead.Add($", on {Page.Number(switcher["examples"].Number())} mixed questions.");
        if (switcher["chosen"] is JsonObject chosen)
        {
            lead.Add($" At the threshold {Page.Number(chosen["threshold"].Number(), 2)}, {Page.Percent(chosen["routedShare"].Number())} are reasoned about: {Page.Percent(chosen["accuracy"].Number())} right with {Page.Number(chosen["meanTokens"].Number())} tokens.");
        }

        Html[] figures = curve.DistinctBy(p => p["routedShare"].Number()).Count() < 2 ? [] :
        [
            Figure(switcher, curve, "switcher-share", "Accuracy against the share that reasons", "routedShare", 100, "routed to reasoning, %", "share"),
            Figure(switcher, curve, "switcher-tokens", "Accuracy against tokens", "meanTokens", 1, "mean tokens an answer", "tokens"),
        ];
        Html body = figures.Length == 0 ? new Html() : Page.Figures(figures);
        List<string[]> bounds = [];
        foreach ((string key, string name) in (IEnumerable<(string, string)>)[("base", "base on every question"), ("chosen", "switcher at its threshold"), ("frugal", "95% of the gain, fewest tokens"), ("reasoning", "reasoning on every question")])
        {
            if (switcher[key] is JsonObject bound)
            {
                bounds.Add([name, Page.Percent(bound["accuracy"].Number()), Page.Number(bound["meanTokens"].Number(), 1), bound["routedShare"] is JsonNode share ? Page.Percent(share.Number()) : "", bound["threshold"] is JsonNode threshold ? Page.Number(threshold.Number(), 3) : ""]);
            }
        }

        body.Add(Page.Table(["way", "right", "mean tokens", "routed to reasoning", "threshold"], bounds));
        return Page.Section(Id, Title, lead, body);
    }

    private static Html Figure(JsonObject switcher, JsonNode[] curve, string id, string title, string key, double scale, string axis, string what)
    {
        DataPoint Point(JsonNode node, double x) => new(x, 100 * node["accuracy"].Number());
        List<Series> series = [new("switcher, by threshold", SeriesStyle.Main, [.. curve.OrderBy(p => p[key].Number()).Select(p => Point(p, scale * p[key].Number()))])];
        if (switcher["base"] is JsonObject nothing && switcher["reasoning"] is JsonObject all)
        {
            double from = key == "routedShare" ? 0 : nothing["meanTokens"].Number();
            double to = key == "routedShare" ? 100 : all["meanTokens"].Number();
            series.Add(new("routed at random", SeriesStyle.Reference, [Point(nothing, from), Point(all, to)]));
        }

        LineChart chart = new()
        {
            Id = id,
            Title = title,
            Description = $"From {Page.Number(series[0].Points[0].Y, 1)}% right at {Page.Number(series[0].Points[0].X)} {axis} to {Page.Number(series[0].Points[^1].Y, 1)}% at {Page.Number(series[0].Points[^1].X)}.",
            AxisX = axis,
            AxisY = "right answers, %",
            Series = series,
            Most = 100,
            Markers = true,
            Mark = switcher["chosen"] is JsonObject chosen ? (scale * chosen[key].Number(), $"threshold {Page.Number(chosen["threshold"].Number(), 2)}") : null,
        };
        Html table = Page.Table(["threshold", what == "share" ? "routed" : "mean tokens", "right"], curve.Select(p => (string[])
        [
            Page.Number(p["threshold"].Number(), 3),
            what == "share" ? Page.Percent(p[key].Number()) : Page.Number(p[key].Number(), 1),
            Page.Percent(p["accuracy"].Number()),
        ]));
        return Page.Figure(title, Legend.Of([.. series.Select(s => (s.Name, s.Style))]), chart.Draw(), table);
    }
}
