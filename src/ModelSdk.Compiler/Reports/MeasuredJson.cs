using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Reports;

/// <summary>What was measured, as report.json says it. A part that was not measured is absent.</summary>
internal static class MeasuredJson
{
    /// <summary>Adds everything that was measured.</summary>
    public static void Add(JsonObject report, BundleManifest bundle, EvaluationResults results)
    {
        string mode = DeployedMode(bundle);
        AdapterResult? adapter = results.Adapters.GetValueOrDefault(mode);
        report["baseline"]!["evaluationSeeds"] = results.Seeds;
        report["evaluation"] = new JsonObject
        {
            ["base"] = ReportJson.Mode(results.Base),
            ["adapters"] = new JsonObject(results.Adapters.Select(a => KeyValuePair.Create(a.Key, (JsonNode?)Adapter(a.Value, results)))),
            ["deployed"] = ReportJson.Mode(adapter?.Deployed ?? results.Base),
            ["deployedMode"] = mode,
            ["maxTokens"] = results.MaxTokens,
            ["decoding"] = "greedy, no budget stated",
        };
        if (adapter?.LengthReduction is LengthReduction reduction)
        {
            report["lengthReduction"] = Node(reduction, EvaluationJson.Default.LengthReduction);
        }

        if (adapter?.Lengths is LengthHistograms lengths)
        {
            report["lengths"] = Lengths(lengths);
        }

        if (results.HardBudgets.Count > 0)
        {
            report["hardBudgets"] = new JsonArray([.. results.HardBudgets.Select(HardBudget)]);
        }

        if (results.Switcher is not null && bundle.Switcher is not null)
        {
            report["switcher"] = Switcher(results.Switcher, bundle.Switcher.Threshold);
        }

        if (results.Verifiers.Count > 0)
        {
            report["verifier"] = Verifier(results.Verifiers.FirstOrDefault(v => v.Adapter == mode) ?? results.Verifiers[0]);
            report["verifiers"] = new JsonArray([.. results.Verifiers.Select(Verifier)]);
        }

        if (results.Parallel.Count > 0)
        {
            report["parallel"] = new JsonArray([.. results.Parallel.Select(p => Node(p, EvaluationJson.Default.ParallelResult))]);
        }

        if (results.EarlyStopping.Count > 0)
        {
            report["earlyStopping"] = new JsonArray([.. results.EarlyStopping.Select(p => Node(p, EvaluationJson.Default.EarlyStoppingResult))]);
        }

        report["examples"] = new JsonArray([.. results.Traces.Select(Example)]);
    }

    /// <summary>The mode that answers by default; where that is the base or the switcher's choice, the first adapter, if there is one.</summary>
    public static string DeployedMode(BundleManifest bundle) =>
        bundle.Adapters.Any(a => a.Name == bundle.DefaultMode) ? bundle.DefaultMode
        : bundle.Adapters.Count > 0 ? bundle.Adapters[0].Name
        : BundleManifest.BaseMode;

    private static JsonObject Adapter(AdapterResult adapter, EvaluationResults results)
    {
        JsonObject forms = new() { ["sft"] = ReportJson.Mode(adapter.Sft) };
        if (adapter.Budget is not null)
        {
            forms["budget"] = ReportJson.Mode(adapter.Budget);
        }

        forms["deployed"] = ReportJson.Mode(adapter.Deployed);
        forms["torch"] = ReportJson.Mode(adapter.Torch);
        forms["sameAnswers"] = adapter.SameAnswers;
        if (adapter.BudgetStated is StatedBudgetResult stated)
        {
            JsonObject both = new() { ["budget"] = stated.Budget, ["sft"] = ReportJson.Mode(stated.Sft) };
            JsonObject sampled = new() { ["temperature"] = results.Temperature, ["seeds"] = results.Seeds, ["sft"] = Node(stated.Sampled.Sft, EvaluationJson.Default.SampledResult) };
            if (stated.BudgetForced is not null)
            {
                both["budgetForced"] = ReportJson.Mode(stated.BudgetForced);
            }

            if (stated.Sampled.BudgetForced is not null)
            {
                sampled["budgetForced"] = Node(stated.Sampled.BudgetForced, EvaluationJson.Default.SampledResult);
            }

            both["sampled"] = sampled;
            forms["budgetStated"] = both;
        }

        return forms;
    }

    private static JsonObject Lengths(LengthHistograms lengths)
    {
        JsonObject Distribution(IReadOnlyList<int> counts) => new()
        {
            ["edges"] = new JsonArray([.. lengths.Edges.Select(e => (JsonNode)e)]),
            ["counts"] = new JsonArray([.. counts.Select(c => (JsonNode)c)]),
        };
        JsonObject both = new() { ["sft"] = Distribution(lengths.Sft) };
        if (lengths.Budget is not null)
        {
            both["budget"] = Distribution(lengths.Budget);
        }

        return both;
    }

    private static JsonObject HardBudget(HardBudgetResult result)
    {
        JsonObject point = new()
        {
            ["adapter"] = result.Adapter,
            ["budget"] = result.Budget,
            ["sft"] = result.Sft.Accuracy,
            ["sftInterval95"] = new JsonArray(result.Sft.Low, result.Sft.High),
            ["sftMeanTokens"] = result.Sft.MeanTokens,
        };
        if (result.BudgetForced is ModeResult forced)
        {
            point["budgetForced"] = forced.Accuracy;
            point["budgetForcedInterval95"] = new JsonArray(forced.Low, forced.High);
            point["budgetForcedMeanTokens"] = forced.MeanTokens;
        }

        return point;
    }

    private static JsonObject Switcher(SwitcherResult result, double threshold)
    {
        JsonObject switcher = new()
        {
            ["auc"] = result.Auc,
            ["lengthAuc"] = result.LengthAuc,
            ["examples"] = result.Examples,
            ["adapterAccuracy"] = result.AdapterAccuracy,
            ["chosen"] = Node(result.At(threshold), EvaluationJson.Default.SwitcherPoint),
            ["curve"] = new JsonArray([.. result.Curve.Select(p => Node(p, EvaluationJson.Default.SwitcherPoint))]),
            ["base"] = ReportJson.Mode(result.Base),
            ["reasoning"] = ReportJson.Mode(result.Reasoning),
        };
        if (result.Frugal is not null)
        {
            switcher["frugal"] = Node(result.Frugal, EvaluationJson.Default.SwitcherPoint);
        }

        return switcher;
    }

    private static JsonObject Verifier(VerifierResult result) => new()
    {
        ["adapter"] = result.Adapter,
        ["auc"] = result.Auc,
        ["withinAuc"] = result.WithinAuc,
        ["examples"] = result.Examples,
        ["right"] = result.Right,
    };

    private static JsonObject Example(ExampleTrace trace)
    {
        JsonObject answers = [];
        foreach ((string name, ScoredAnswer answer) in trace.Answers)
        {
            answers[name] = new JsonObject { ["text"] = answer.Text, ["reasoning"] = answer.Reasoning, ["tokens"] = answer.Tokens, ["right"] = answer.Right };
        }

        return new JsonObject { ["question"] = trace.Question, ["expected"] = trace.Expected, ["answers"] = answers };
    }

    // Absent rather than null: a reader then asks one question, not two.
    private static JsonObject Node<T>(T value, JsonTypeInfo<T> type)
    {
        JsonObject node = JsonSerializer.SerializeToNode(value, type)!.AsObject();
        foreach (string name in node.Where(p => p.Value is null).Select(p => p.Key).ToArray())
        {
            node.Remove(name);
        }

        return node;
    }
}
