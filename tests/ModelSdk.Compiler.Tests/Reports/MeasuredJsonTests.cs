using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Reports;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests.Reports;

public sealed class MeasuredJsonTests
{
    [Fact]
    public void Everything_that_was_measured_has_the_names_that_tools_rely_on()
    {
        JsonObject report = Report(Full(), Bundle("sums", threshold: 0.5));
        JsonNode evaluation = report["evaluation"]!;
        Assert.Equal("sums", evaluation["deployedMode"]!.GetValue<string>());
        Assert.Equal(0.5, evaluation["base"]!["accuracy"].Number());
        Assert.Equal([0.9, 0.88], ((string[])["sft", "budget"]).Select(f => evaluation["adapters"]!["sums"]![f]!["accuracy"].Number()));
        Assert.Equal(["accuracy", "meanTokens", "medianTokens", "examples", "interval95", "unfinished"], evaluation["deployed"]!.AsObject().Select(p => p.Key));
        Assert.Equal(0.88, evaluation["deployed"]!["accuracy"].Number());

        JsonNode stated = evaluation["adapters"]!["sums"]!["budgetStated"]!;
        Assert.Equal(96, stated["budget"].Number());
        Assert.Equal([0.1, 0.99], ((string[])["sft", "budgetForced"]).Select(f => stated[f]!["withinBudget"].Number()));
        Assert.Equal([0.01, 0.02], ((string[])["sft", "budgetForced"]).Select(f => stated["sampled"]![f]!["spread"].Number()));
        Assert.Equal(3, stated["sampled"]!["seeds"].Number());

        Assert.Equal([2.5, 7, 96], ((string[])["mean", "max", "budget"]).Select(n => report["lengthReduction"]![n].Number()));
        Assert.Equal([0, 50, 100], report["lengths"]!["budget"]!["edges"].Numbers());
        Assert.Equal([1, 3], report["lengths"]!["sft"]!["counts"].Numbers());
        JsonNode hard = Assert.Single(report["hardBudgets"]!.AsArray())!;
        Assert.Equal([32, 0.2, 0.8], ((string[])["budget", "sft", "budgetForced"]).Select(n => hard[n].Number()));
        Assert.Equal([0.15, 0.25], hard["sftInterval95"].Numbers().Select(n => Math.Round(n, 9)));

        JsonNode switcher = report["switcher"]!;
        Assert.Equal([0.97, 0.51, 2], ((string[])["auc", "lengthAuc", "examples"]).Select(n => switcher[n].Number()));
        Assert.Equal([0.5, 0.5, 1, 45], ((string[])["threshold", "routedShare", "accuracy", "meanTokens"]).Select(n => switcher["chosen"]![n].Number()));
        Assert.Equal(2, switcher["curve"]!.AsArray().Count);
        Assert.Equal(0.82, report["verifier"]!["auc"].Number());
        JsonNode vote = Assert.Single(report["parallel"]!.AsArray())!;
        Assert.Equal([8, 0.7, 0.8, 0.82, 700], ((string[])["streams", "single", "majority", "weighted", "meanTokens"]).Select(n => vote[n].Number()));
        Assert.Equal(0.003, vote["spread"]!["weighted"].Number());
        JsonNode policy = Assert.Single(report["earlyStopping"]!.AsArray())!;
        Assert.Equal("stop when decided", policy["policy"]!.GetValue<string>());
        Assert.Equal(0.4, policy["savedShare"].Number());
        Assert.Equal(["base", "sums", "sums.sft"], report["examples"]![0]!["answers"]!.AsObject().Select(a => a.Key));
    }

    [Fact]
    public void What_was_not_measured_is_absent_and_the_page_is_drawn_all_the_same()
    {
        EvaluationResults few = new() { Examples = 1, MaxTokens = 8, Base = Mode(0.5), BaseFailures = [], Adapters = [], Traces = [] };
        JsonObject report = Report(few, Bundle("base", threshold: null));
        Assert.Equal("base", report["evaluation"]!["deployedMode"]!.GetValue<string>());
        Assert.DoesNotContain(report, p => p.Key is "lengths" or "lengthReduction" or "hardBudgets" or "switcher" or "verifier" or "parallel" or "earlyStopping");
        Assert.Contains("answering directly", ReportHtmlTests.Page(report), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_the_switcher_decides_the_first_adapter_stands_for_reasoning()
    {
        JsonObject report = Report(Full(), Bundle(BundleManifest.AutoMode, threshold: 0.5));
        Assert.Equal("sums", report["evaluation"]!["deployedMode"]!.GetValue<string>());
    }

    [Fact]
    public void The_page_and_the_headline_follow_from_the_measured_records()
    {
        JsonObject report = Report(Full(), Bundle("sums", threshold: 0.5));
        report["gates"] = ReportJson.Gates([new GateResult("minAccuracy", 0.8, 0.88, true), new GateResult("minVerifierAuc", 0.8, null, false)]);
        string page = ReportHtmlTests.Page(report);
        Assert.Contains("50.0% → 88.0%", page, StringComparison.Ordinal);
        Assert.Contains("weighted by the verifier", page, StringComparison.Ordinal);
        Assert.Contains("not measured", page, StringComparison.Ordinal);
        Assert.Equal("sums 88.0% right with 40 tokens (base 50.0%), 2.5 times shorter than after SFT, 1 of 2 gates passed", ReportHeadline.Of(report));
        Assert.Null(ReportHeadline.Of([]));
    }

    // What stands beside the measurements in a real report, from the sample.
    private static JsonObject Report(EvaluationResults results, BundleManifest bundle)
    {
        JsonObject report = SampleReport.Unmeasured();
        MeasuredJson.Add(report, bundle, results);
        return JsonNode.Parse(report.ToJsonString())!.AsObject();
    }

    private static ModeResult Mode(double accuracy, double tokens = 40, double? within = null) => new(accuracy, tokens, tokens, 200, accuracy - 0.05, accuracy + 0.05, 0.01) { WithinBudget = within };

    private static EvaluationResults Full() => new()
    {
        Examples = 200,
        MaxTokens = 128,
        Temperature = 0.7,
        Seeds = 3,
        Base = Mode(0.5, 4),
        BaseFailures = [],
        Adapters = new(StringComparer.Ordinal)
        {
            ["sums"] = new AdapterResult
            {
                Sft = Mode(0.9, 100),
                Budget = Mode(0.88),
                Torch = Mode(0.88),
                SameAnswers = 1,
                BudgetStated = new StatedBudgetResult(96, Mode(0.9, 100, 0.1), Mode(0.89, 40, 0.99), new SampledForms(new SampledResult(0.9, 0.01, 101, 1, 0.1, [0.9]), new SampledResult(0.88, 0.02, 41, 1, 0.98, [0.88]))),
                LengthReduction = new LengthReduction(2.5, 7, 96, null),
                Lengths = new LengthHistograms([0, 50, 100], [1, 3], [4, 0]),
                Failures = new AdapterFailures([], [], [], []),
            },
        },
        HardBudgets = [new HardBudgetResult("sums", 32, Mode(0.2), Mode(0.8))],
        Switcher = new SwitcherResult
        {
            Auc = 0.97,
            LengthAuc = 0.51,
            Examples = 2,
            AdapterAccuracy = 1,
            Frugal = null,
            Curve = [new SwitcherPoint(0.1, 1, 0.9, 90), new SwitcherPoint(0.9, 0, 0.5, 4)],
            Base = Mode(0.5, 4),
            Reasoning = Mode(0.9, 90),
            Failures = [],
            Questions = [new RoutedQuestion(0.9, true, false, 4, true, 86), new RoutedQuestion(0.1, false, true, 4, true, 90)],
        },
        Verifiers = [new VerifierResult("sums", 0.82, 0.75, 1600, 0.7, [])],
        Parallel = [new ParallelResult("sums", 8, 0.7, 0.8, 0.82, 700, new VoteSpread(0.001, 0.002, 0.003))],
        EarlyStopping = [new EarlyStoppingResult("sums", "stop when decided", 8, 0.82, 420, 0.4, 0.82, 200, 3)],
        Traces =
        [
            new ExampleTrace("1+1?", "2", new(StringComparer.Ordinal)
            {
                ["base"] = new ScoredAnswer("3", null, 1, false, true),
                ["sums"] = new ScoredAnswer("2", "1+1=2", 9, true, true),
                ["sums.sft"] = new ScoredAnswer("2", "1+1=2, again 1+1=2", 20, true, true),
            }),
        ],
    };

    private static BundleManifest Bundle(string mode, double? threshold) => new()
    {
        Name = "Tiny",
        Compiler = "0.1.0",
        Architecture = new TransformerConfig("qwen2", 264, 32, 64, 2, 2, 1, 16, 256, 10000, 1e-6, true),
        Context = 160,
        Quantization = new BundleQuantization("int4", 32, "int8"),
        Weights = new BundleWeights("weights.bin", []),
        BaseGraph = "base.onnx",
        Adapters = mode == "base" ? [] : [new BundleAdapter("sums", "sums.onnx", "adapter.bin", 4, 8)],
        DefaultMode = mode,
        Switcher = threshold is double t ? new BundleSwitcher("prefill.onnx", ["base", "sums"], 128, 0.5, t) : null,
        Budgets = [],
        Answer = new BundleAnswer("integer"),
        AnswerTokens = 16,
        Prompt = new BundlePrompt(null, null, "<think>", "</think>", "Answer:"),
        EosTokens = [256],
        Measured = new Dictionary<string, BundleMeasurement>(StringComparer.Ordinal),
    };
}
