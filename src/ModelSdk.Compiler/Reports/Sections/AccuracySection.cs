using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>Accuracy and tokens of each mode in each form.</summary>
internal static class AccuracySection
{
    public const string Id = "accuracy";
    public const string Title = "Accuracy";

    /// <summary>A measured form of a mode.</summary>
    private sealed record Row(string Name, SeriesStyle Style, JsonNode Mode);

    public static Html? Write(JsonObject report)
    {
        if (report["evaluation"] is not JsonObject evaluation)
        {
            return null;
        }

        Row[] rows = [.. Rows(evaluation)];
        BarChart chart = new()
        {
            Bars = [.. rows.Select(Bar)],
            Full = 1,
        };
        Html body = Page.Figures([Page.Figure("Right answers, with 95% intervals", new Html(), chart.Draw()), Forms(evaluation)]);
        body.Add(Page.Table(
            ["mode", "right", "95% interval", "mean tokens", "median", "within budget", "cut off"],
            rows.Select(r => (string[])
            [
                r.Name,
                Page.Percent(r.Mode["accuracy"].Number()),
                r.Mode["interval95"] is JsonArray interval ? $"{Page.Percent(interval[0].Number())} to {Page.Percent(interval[1].Number())}" : "",
                Page.Number(r.Mode["meanTokens"].Number(), 1),
                r.Mode["medianTokens"] is JsonNode median ? Page.Number(median.Number()) : "",
                r.Mode["withinBudget"] is JsonNode within ? Page.Percent(within.Number()) : "",
                r.Mode["unfinished"] is JsonNode unfinished ? Page.Percent(unfinished.Number()) : "",
            ])));
        body.Add(Sampled(evaluation));
        return Page.Section(
            Id,
            Title,
            new Html().Add($"{Page.Number(evaluation["base"]!["examples"].Number())} unseen questions, {(string?)evaluation["decoding"]}, at most {Page.Number(evaluation["maxTokens"].Number())} tokens an answer."),
            body);
    }

    private static IEnumerable<Row> Rows(JsonObject evaluation)
    {
        yield return new Row("base, answering directly", SeriesStyle.Reference, evaluation["base"]!);
        foreach ((string adapter, JsonNode? forms) in evaluation["adapters"]!.AsObject())
        {
            bool forced = forms!["budget"] is not null;
            yield return new Row(forced ? $"{adapter} after SFT" : adapter, forced ? SeriesStyle.Before : SeriesStyle.Main, forms["sft"]!);
            if (forced)
            {
                yield return new Row($"{adapter} after budget forcing", SeriesStyle.Main, forms["budget"]!);
            }

            if (forms["budgetStated"] is JsonObject stated)
            {
                string budget = $"{Page.Number(stated["budget"].Number())} tokens stated";
                if (stated["sft"] is JsonNode sft)
                {
                    yield return new Row($"{adapter} after SFT, {budget}", SeriesStyle.Before, sft);
                }

                if (stated["budgetForced"] is JsonNode result)
                {
                    yield return new Row($"{adapter} after budget forcing, {budget}", SeriesStyle.Main, result);
                }
            }
        }
    }

    private static Bar Bar(Row row)
    {
        JsonArray? interval = row.Mode["interval95"] as JsonArray;
        return new Bar(
            row.Name,
            row.Mode["accuracy"].Number(),
            $"{Page.Percent(row.Mode["accuracy"].Number())}, {Page.Tokens(row.Mode["meanTokens"].Number())}",
            row.Style,
            interval?[0].Number(),
            interval?[1].Number());
    }

    // What quantization and export cost: the same adapter in Torch and as shipped.
    private static Html Forms(JsonObject evaluation)
    {
        List<string[]> rows = [];
        foreach ((string adapter, JsonNode? forms) in evaluation["adapters"]!.AsObject())
        {
            if (forms!["deployed"] is JsonNode deployed && forms["sameAnswers"] is JsonNode same)
            {
                rows.Add([adapter, Page.Percent(deployed["accuracy"].Number()), Page.Percent(same.Number())]);
            }
        }

        return rows.Count == 0 ? new Html() : new Html().Add($"<div class=\"aside\"><h3>As shipped</h3><p>The quantized model in ONNX Runtime against the trained one in Torch: the share of questions on which both are right or both are wrong.</p>{Page.Table(["adapter", "right as shipped", "same as in Torch"], rows)}</div>\n");
    }

    private static Html Sampled(JsonObject evaluation)
    {
        List<string[]> rows = [];
        foreach ((string adapter, JsonNode? forms) in evaluation["adapters"]!.AsObject())
        {
            if (forms!["budgetStated"]?["sampled"] is not JsonObject sampled)
            {
                continue;
            }

            foreach ((string key, string name) in (IEnumerable<(string, string)>)[("sft", "after SFT"), ("budgetForced", "after budget forcing")])
            {
                if (sampled[key] is JsonNode result)
                {
                    rows.Add([$"{adapter} {name}", Page.Percent(result["accuracy"].Number()) + (sampled["seeds"].Number() > 1 ? $" ± {Page.Number(100 * result["spread"].Number(), 1)}" : ""), Page.Number(result["meanTokens"].Number(), 1), result["withinBudget"] is JsonNode within ? Page.Percent(within.Number()) : ""]);
                }
            }
        }

        return rows.Count == 0 ? new Html() : new Html().Add($"<h3>Sampled, with the budget stated</h3><p>Mean and standard deviation over sampling seeds.</p>{Page.Table(["mode", "right", "mean tokens", "within budget"], rows)}");
    }
}
