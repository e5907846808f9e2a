using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>What budget forcing does to lengths, and how accuracy holds when answers are cut (paper 4).</summary>
internal static class LengthSection
{
    public const string Id = "length";
    public const string Title = "Length and budgets";

    public static Html? Write(JsonObject report)
    {
        List<Html> figures = [];
        if (report["lengths"] is JsonObject lengths)
        {
            figures.Add(Lengths(lengths, report["lengthReduction"] as JsonObject));
        }

        if (report["hardBudgets"] is JsonArray { Count: > 0 } hard)
        {
            IGrouping<string, JsonNode>[] adapters = [.. hard.GroupBy(h => (string?)h!["adapter"] ?? "", h => h!)];
            figures.AddRange(adapters.Select(adapter => HardBudgets(adapter.Key, adapters.Length > 1 ? $": {adapter.Key}" : "", [.. adapter])));
        }

        return figures.Count == 0 ? null : Page.Section(Id, Title, Lead(report["lengthReduction"] as JsonObject), Page.Figures(figures));
    }

    private static Html Lead(JsonObject? reduction)
    {
        Html lead = new();
        if (reduction is not null)
        {
            lead.Add($"Budget forcing makes answers {Page.Number(reduction["mean"].Number(), 2)} times shorter on average, {Page.Number(reduction["max"].Number(), 1)} times at most");
            lead.Add(reduction["budget"] is JsonNode budget ? new Html().Add($", with {Page.Number(budget.Number())} tokens stated in the prompt. ") : new Html().Add($". "));
        }

        return lead.Add($"A hard budget cuts the reasoning at its limit and forces the answer.");
    }

    private static Html Lengths(JsonObject lengths, JsonObject? reduction)
    {
        List<Distribution> distributions = [];
        foreach ((string key, string name, SeriesStyle style) in (IEnumerable<(string, string, SeriesStyle)>)[("sft", "after SFT", SeriesStyle.Before), ("budget", "after budget forcing", SeriesStyle.Main)])
        {
            if (lengths[key] is JsonObject distribution)
            {
                distributions.Add(new Distribution(name, style, distribution["edges"].Numbers(), distribution["counts"].Numbers()));
            }
        }

        Histogram chart = new()
        {
            Id = "lengths",
            Title = "Lengths of answers",
            Description = string.Join("; ", distributions.Select(d => $"{d.Name}, most answers have {Mode(d)} tokens")),
            AxisX = "tokens of an answer",
            Distributions = distributions,
            Mark = reduction?["budget"] is JsonNode budget && budget.Number() < distributions.Max(d => d.Edges[^1]) ? (budget.Number(), $"stated: {Page.Number(budget.Number())}") : null,
        };
        Html table = Page.Table(
            ["tokens", .. distributions.Select(d => d.Name)],
            Enumerable.Range(0, distributions[0].Counts.Count).Select(i => (string[])
            [
                $"{Page.Number(distributions[0].Edges[i])} to {Page.Number(distributions[0].Edges[i + 1])}",
                .. distributions.Select(d => i < d.Counts.Count ? Page.Number(d.Counts[i]) : ""),
            ]));
        return Page.Figure("How long answers are", Legend.Of([.. distributions.Select(d => (d.Name, d.Style))]), chart.Draw(), table);
    }

    private static string Mode(Distribution distribution)
    {
        int most = Enumerable.Range(0, distribution.Counts.Count).MaxBy(i => distribution.Counts[i]);
        return $"{Page.Number(distribution.Edges[most])} to {Page.Number(distribution.Edges[most + 1])}";
    }

    private static Html HardBudgets(string adapter, string of, JsonNode[] points)
    {
        List<Series> series = [Series("after SFT", SeriesStyle.Before, "sft", points)];
        if (points.All(p => p["budgetForced"] is not null))
        {
            series.Add(Series("after budget forcing", SeriesStyle.Main, "budgetForced", points));
        }

        LineChart chart = new()
        {
            Id = "hard-" + adapter,
            Title = $"Accuracy of {adapter} under hard budgets",
            Description = string.Join("; ", points.Select(p => $"at {Page.Number(p["budget"].Number())} tokens " + string.Join(", ", series.Select(s => $"{Page.Number(s.Points[Array.IndexOf(points, p)].Y)}% {s.Name}")))),
            AxisX = "hard budget, tokens",
            AxisY = "right answers, %",
            Series = series,
            Ordinal = true,
            Include = [0, 100],
            Most = 100,
        };
        Html table = Page.Table(
            ["budget, tokens", .. series.Select(s => s.Name)],
            points.Select((p, i) => (string[])[Page.Number(p["budget"].Number()), .. series.Select(s => $"{Page.Number(s.Points[i].Y, 1)}%")]));
        return Page.Figure($"Right answers under a hard budget, with 95% intervals{of}", Legend.Of([.. series.Select(s => (s.Name, s.Style))]), chart.Draw(), table);
    }

    private static Series Series(string name, SeriesStyle style, string key, JsonNode[] points) => new(name, style, [.. points.Select(p => new DataPoint(
        p["budget"].Number(),
        100 * p[key].Number(),
        p[key + "Interval95"] is JsonArray low ? 100 * low[0].Number() : null,
        p[key + "Interval95"] is JsonArray high ? 100 * high[1].Number() : null))]);
}
