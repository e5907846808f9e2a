using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>Parallel streams and their votes, and what ending streams early saves (paper 5 and beyond).</summary>
internal static class VotingSection
{
    public const string Id = "votes";
    public const string Title = "Parallel reasoning";

    private static readonly (string Key, string Name, SeriesStyle Style)[] s_votes =
        [("weighted", "weighted by the verifier", SeriesStyle.Main), ("majority", "majority", SeriesStyle.Before), ("single", "one stream", SeriesStyle.Reference)];

    public static Html? Write(JsonObject report)
    {
        List<Html> figures = [];
        bool several = ByAdapter(report["parallel"]).Concat(ByAdapter(report["earlyStopping"])).DistinctBy(a => a.Key).Count() > 1;
        string Of(string adapter) => several ? $": {adapter}" : "";
        figures.AddRange(ByAdapter(report["parallel"]).Select(adapter => Votes(adapter.Key, Of(adapter.Key), [.. adapter])));
        figures.AddRange(ByAdapter(report["earlyStopping"]).Select(adapter => EarlyStopping(Of(adapter.Key), [.. adapter])));

        if (figures.Count == 0)
        {
            return null;
        }

        Html lead = new Html().Add($"Several streams think about one question and vote.");
        if (report["verifier"] is JsonObject verifier)
        {
            lead.Add($" The verifier weighs each vote; it tells right answers from wrong ones with an area under the curve of {Page.Number(verifier["auc"].Number(), 3)}, on {Page.Number(verifier["examples"].Number())} answers.");
        }

        return Page.Section(Id, Title, lead, Page.Figures(figures));
    }

    private static IEnumerable<IGrouping<string, JsonNode>> ByAdapter(JsonNode? list) =>
        (list as JsonArray ?? []).GroupBy(p => (string?)p!["adapter"] ?? "", p => p!);

    private static Html Votes(string adapter, string of, JsonNode[] points)
    {
        List<Series> series = [];
        foreach ((string key, string name, SeriesStyle style) in s_votes)
        {
            if (points.All(p => p[key] is not null))
            {
                series.Add(new Series(name, style, [.. points.Select(p => Point(p, key))]));
            }
        }

        LineChart chart = new()
        {
            Id = "votes-" + adapter,
            Title = $"Votes against streams: {adapter}",
            Description = string.Join("; ", points.Select((p, i) => $"{Page.Number(p["streams"].Number())} streams: " + string.Join(", ", series.Select(s => $"{s.Name} {Page.Number(s.Points[i].Y, 1)}%")))),
            AxisX = "streams",
            AxisY = "right answers, %",
            Series = series,
            Ordinal = true,
            Most = 100,
        };
        Html table = Page.Table(
            ["streams", .. series.Select(s => s.Name), "mean tokens"],
            points.Select((p, i) => (string[])
            [
                Page.Number(p["streams"].Number()),
                .. series.Select(s => Page.Number(s.Points[i].Y, 1) + "%" + (s.Points[i].High is double high ? $" ± {Page.Number(high - s.Points[i].Y, 1)}" : "")),
                Page.Number(p["meanTokens"].Number(), 1),
            ]));
        return Page.Figure($"Right answers by votes, with the deviation over seeds{of}", Legend.Of([.. series.Select(s => (s.Name, s.Style))]), chart.Draw(), table);
    }

    private static DataPoint Point(JsonNode point, string key)
    {
        double y = 100 * point[key].Number();
        double? spread = point["spread"]?[key] is JsonNode deviation ? 100 * deviation.Number() : null;
        return new DataPoint(point["streams"].Number(), y, y - spread, spread is double s ? Math.Min(100, y + s) : null);
    }

    private static Html EarlyStopping(string of, JsonNode[] policies)
    {
        BarChart chart = new()
        {
            Bars = [.. policies.Select(p => new Bar(
                (string?)p["policy"] ?? "",
                p["meanTokens"].Number(),
                $"{Page.Tokens(p["meanTokens"].Number())}{Saved(p)}, {Page.Percent(p["accuracy"].Number())} right",
                (string?)p["policy"] == "none" ? SeriesStyle.Before : SeriesStyle.Main))],
        };
        Html table = Page.Table(
            ["policy", "streams", "right", "mean tokens", "tokens saved"],
            policies.Select(p => (string[])
            [
                (string?)p["policy"] ?? "",
                Page.Number(p["streams"].Number()),
                Page.Percent(p["accuracy"].Number()),
                Page.Number(p["meanTokens"].Number(), 1),
                Page.Percent(p["savedShare"].Number()),
            ]));
        return Page.Figure($"Tokens of all streams when some end early{of}", new Html(), chart.Draw(), table);
    }

    private static string Saved(JsonNode policy)
    {
        double share = policy["savedShare"].Number();
        return Math.Abs(share) < 0.005 ? "" : share > 0 ? $" (−{Page.Number(100 * share)}%)" : $" (+{Page.Number(-100 * share)}%)";
    }
}
