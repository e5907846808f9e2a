using System.Text.Json.Nodes;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace ModelSdk.Compiler.Reports;

/// <summary>How the trainings went, as report.json says it.</summary>
internal static class TrainingJson
{
    /// <summary>Training lines of each adapter.</summary>
    public static JsonObject Examples(CompileInputs inputs, StageEntries entries) => new(inputs.Manifest.Adapters.Zip(
        entries.Sft,
        (adapter, entry) => KeyValuePair.Create(adapter.Name, (JsonNode?)TrainingSummary.Read(entry.File(TrainingSummary.FileName)).Examples)));

    /// <summary>Each adapter's curves: one value a step.</summary>
    public static JsonObject Adapters(CompileInputs inputs, StageEntries entries)
    {
        JsonObject training = [];
        for (int i = 0; i < inputs.Manifest.Adapters.Count; i++)
        {
            AdapterSettings adapter = inputs.Manifest.Adapters[i];
            TrainingSummary sft = TrainingSummary.Read(entries.Sft[i].File(TrainingSummary.FileName));
            JsonObject trained = new()
            {
                ["masked"] = adapter.Masked,
                ["rank"] = adapter.Import is null ? adapter.Rank : LoraAdapter.Load(entries.Sft[i].Folder).Rank,
                ["imported"] = adapter.Import is not null,
                ["sft"] = new JsonObject { ["steps"] = sft.Steps, ["examples"] = sft.Examples, ["loss"] = Curve(sft.Loss) },
            };
            if (entries.Shipped[i].Key.Stage == StageNames.Budget)
            {
                trained["budget"] = Budget(entries.Shipped[i]);
            }

            if (entries.Verifiers.TryGetValue(adapter.Name, out StoreEntry? verifier))
            {
                trained["verifier"] = Head(verifier);
            }

            training[adapter.Name] = trained;
        }

        return training;
    }

    /// <summary>A switcher's or a verifier's training.</summary>
    public static JsonObject Head(StoreEntry entry)
    {
        HeadSummary head = HeadSummary.Read(entry.File(HeadSummary.FileName));
        return new JsonObject { ["examples"] = head.Examples, ["heldOut"] = head.HeldOut, ["auc"] = head.Auc, ["right"] = head.Right, ["loss"] = Curve(head.Loss) };
    }

    private static JsonObject Budget(StoreEntry entry)
    {
        BudgetSummary summary = BudgetSummary.Read(entry.File(BudgetSummary.FileName));
        StageTimings timings = StageTimings.Read(entry.File(StageTimings.FileName));
        JsonObject budget = new()
        {
            ["steps"] = summary.Reward.Count,
            ["prompts"] = summary.Prompts,
            ["reward"] = Curve(summary.Reward),
            ["accuracy"] = Curve(summary.Accuracy),
            ["meanTokens"] = Curve(summary.MeanTokens),
            ["withinBudget"] = new JsonArray([.. summary.WithinBudget.Select(v => v is double share ? (JsonNode?)Math.Round(share, 5) : null)]),
            ["kl"] = Curve(summary.Kl),
            ["loss"] = Curve(summary.Loss),
            ["gradientNorm"] = Curve(summary.GradientNorm),
            ["zeroDeviation"] = Curve(summary.ZeroDeviation),
            ["clipped"] = Curve(summary.Clipped),
            ["logProbDisagreement"] = Math.Round(summary.LogProbDisagreement.DefaultIfEmpty().Average(), 6),
        };
        foreach ((string name, double value) in timings.Values)
        {
            budget[name] = value;
        }

        return budget;
    }

    private static JsonArray Curve(IEnumerable<double> values) => [.. values.Select(v => (JsonNode)Math.Round(v, 6))];
}
