using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Reports.Sections;

/// <summary>How the trainings went.</summary>
internal static class TrainingSection
{
    public const string Id = "training";
    public const string Title = "Training";

    public static Html? Write(JsonObject report)
    {
        if (report["training"] is not JsonObject { Count: > 0 } training)
        {
            return null;
        }

        Html body = new();
        foreach ((string adapter, JsonNode? trained) in training)
        {
            JsonNode sft = trained!["sft"]!;
            body.Add($"<h3>{adapter}</h3>\n<p>");
            if (trained["imported"]?.GetValue<bool>() == true)
            {
                body.Add($"Imported, rank {Page.Number(trained["rank"].Number())}.");
            }
            else
            {
                body.Add($"{Page.Number(sft["steps"].Number())} steps of supervised fine-tuning on {Page.Number(sft["examples"].Number())} examples, rank {Page.Number(trained["rank"].Number())}, {(trained["masked"]!.GetValue<bool>() ? "masked LoRA" : "LoRA on all tokens")}.");
            }

            if (trained["budget"] is JsonObject forcing)
            {
                body.Add($" Then {Page.Number(forcing["reward"].Numbers().Length)} steps of budget forcing");
                if (forcing["rolloutTokensPerSecond"] is JsonNode rollout && forcing["trainingTokensPerSecond"] is JsonNode trainer)
                {
                    body.Add($": {Page.Number(rollout.Number())} tokens a second sampled on the deployed engine, {Page.Number(trainer.Number())} trained");
                }

                if (forcing["logProbDisagreement"] is JsonNode disagreement)
                {
                    body.Add($"; sampler and trainer differ by {Page.Number(disagreement.Number(), 4)} in a token's log-probability");
                }

                body.Add($".");
            }

            body.Add($"</p>\n").Add(Page.Figures(Curves(adapter, trained)));
        }

        return body.IsEmpty ? null : Page.Section(Id, Title, new Html().Add($"Each point is one optimizer step."), body);
    }

    private static IEnumerable<Html> Curves(string adapter, JsonNode trained)
    {
        List<(string Key, string Title, string Axis, JsonNode? Values, double Scale, double[] Include)> curves =
        [
            ("loss", "SFT: loss", "loss a token, nats", trained["sft"]!["loss"], 1, [0]),
            ("reward", "Budget forcing: reward", "mean reward", trained["budget"]?["reward"], 1, [0, 1]),
            ("accuracy", "Budget forcing: right answers", "of the samples, %", trained["budget"]?["accuracy"], 100, [100]),
            ("length", "Budget forcing: length", "mean tokens", trained["budget"]?["meanTokens"], 1, [0]),
            ("within", "Budget forcing: within the budget", "of the samples, %", trained["budget"]?["withinBudget"], 100, [0, 100]),
            ("kl", "Budget forcing: distance from the reference", "KL a token, nats", trained["budget"]?["kl"], 1, [0]),
        ];
        foreach ((string key, string title, string axis, JsonNode? values, double scale, double[] include) in curves)
        {
            if (values is not JsonArray { Count: > 1 })
            {
                continue;
            }

            // A step that stated no budget has no share within it.
            DataPoint[] points = [.. values.AsArray().Select((v, i) => (Value: v, Step: i + 1)).Where(p => p.Value is not null).Select(p => new DataPoint(p.Step, scale * p.Value.Number()))];
            if (points.Length < 2)
            {
                continue;
            }

            LineChart chart = new()
            {
                Id = $"{key}-{adapter}",
                Title = $"{title}, {adapter}",
                Description = $"From {Page.Number(points[0].Y, 3)} in the first of {points.Length} steps to {Page.Number(points[^1].Y, 3)} in the last.",
                AxisX = "step",
                AxisY = axis,
                Series = [new Series(title, SeriesStyle.Main, points)],
                Include = include,
                Markers = false,
            };
            yield return Page.Figure(title, new Html(), chart.Draw(), Page.Table(["step", axis], Steps(points)));
        }
    }

    // Every step of a short training, about twenty of a long one, the last in any case.
    private static IEnumerable<string[]> Steps(DataPoint[] points)
    {
        int stride = Math.Max(1, points.Length / 20);
        return points.Where((_, i) => i % stride == 0 || i == points.Length - 1).Select(p => (string[])[Page.Number(p.X), Page.Number(p.Y, 4)]);
    }
}
