using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Tests.Evaluation;

/// <summary>Gates against results that are given here; nothing is compiled.</summary>
public sealed class GatesTests : IDisposable
{
    private readonly TinyWorld _world = TinyWorld.WithEveryStage();
    private readonly CompilerLog _log = CompilerLog.Silent();

    public void Dispose() => _world.Dispose();

    [Fact]
    public void Gates_that_hold_pass_without_a_word()
    {
        IReadOnlyList<GateResult> gates = Judge("""{ "minAccuracy": 0.8, "maxMeanTokens": 60, "minLengthReduction": 2.4, "minWithinBudget": 0.95, "minSwitcherAuc": 0.9, "minVerifierAuc": 0.8 }""");
        Assert.Equal(["minAccuracy", "maxMeanTokens", "minLengthReduction", "minWithinBudget", "minSwitcherAuc", "minVerifierAuc"], gates.Select(g => g.Name));
        Assert.All(gates, g => Assert.True(g.Passed, g.Name));
        Assert.Empty(_log.Diagnostics);
    }

    [Theory]
    [InlineData("minAccuracy", 0.81, 0.8)]
    [InlineData("maxMeanTokens", 59.5, 60.0)]
    [InlineData("minLengthReduction", 2.5, 2.4)]
    [InlineData("minWithinBudget", 1.0, 0.95)]
    [InlineData("minSwitcherAuc", 0.95, 0.9)]
    [InlineData("minVerifierAuc", 0.85, 0.8)]
    public void A_gate_that_does_not_hold_names_value_threshold_place_and_three_examples(string name, double threshold, double measured)
    {
        GateResult gate = Assert.Single(Judge(new JsonObject { [name] = threshold }.ToJsonString()));
        Assert.Equal(new GateResult(name, threshold, measured, false), gate);
        CompilerDiagnostic error = Assert.Single(_log.Diagnostics);
        Assert.Equal((DiagnosticLevel.Error, DiagnosticCodes.GateFailed, _world.ManifestPath), (error.Level, error.Code, error.File));
        Assert.Contains($"\"{name}\"", File.ReadAllLines(_world.ManifestPath)[error.Line - 1], StringComparison.Ordinal);
        Assert.Contains(measured.ToString("0.####", System.Globalization.CultureInfo.InvariantCulture), error.Message, StringComparison.Ordinal);
        Assert.Contains(threshold.ToString("0.####", System.Globalization.CultureInfo.InvariantCulture), error.Message, StringComparison.Ordinal);
        Assert.All((string[])["\"q1\" expected 1, answered 11", "\"q2\" expected 2, answered 12", "\"q3\" expected 3, answered 13"], example => Assert.Contains(example, error.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void Each_gate_that_does_not_hold_is_an_error_of_its_own()
    {
        Judge("""{ "minAccuracy": 0.9, "maxMeanTokens": 10, "minWithinBudget": 0.9 }""");
        Assert.Equal(2, _log.Diagnostics.Count);
        Assert.Equal(2, _log.Diagnostics.Select(d => d.Line).Distinct().Count());
    }

    [Fact]
    public void What_was_not_measured_passes_no_gate()
    {
        GateResult gate = Assert.Single(Judge("""{ "minLengthReduction": 1 }""", results => results with { Adapters = new() { ["sums"] = results.Adapters["sums"] with { LengthReduction = null } } }));
        Assert.Equal((null, false), (gate.Measured, gate.Passed));
        Assert.Contains("was not measured", Assert.Single(_log.Diagnostics).Message, StringComparison.Ordinal);
    }

    private IReadOnlyList<GateResult> Judge(string gates, Func<EvaluationResults, EvaluationResults>? change = null)
    {
        _world.Manifest["evaluation"]!["gates"] = JsonNode.Parse(gates);
        _world.Save();
        CompileInputs inputs = CompileInputs.Read(_world.ManifestPath, _log, TestContext.Current.CancellationToken)!;
        EvaluationResults results = Results();
        return Gates.Judge(inputs, change?.Invoke(results) ?? results, _log);
    }

    private static EvaluationResults Results()
    {
        FailedExample[] failed = [new("q1", "1", "11", 5), new("q2", "2", "12", 6), new("q3", "3", "13", 7, "why")];
        ModeResult mode = new(0.8, 60, 60, 100, 0.7, 0.9, 0) { WithinBudget = 0.95 };
        SampledResult sampled = new(0.8, 0, 60, 0, 0.95, [0.8]);
        return new EvaluationResults
        {
            Examples = 100,
            MaxTokens = 12,
            Base = mode with { Accuracy = 0.1 },
            BaseFailures = [],
            Adapters = new(StringComparer.Ordinal)
            {
                ["sums"] = new AdapterResult
                {
                    Sft = mode with { MeanTokens = 144, WithinBudget = 0.2 },
                    Budget = mode,
                    Torch = mode,
                    SameAnswers = 1,
                    BudgetStated = new StatedBudgetResult(10, mode with { WithinBudget = 0.2 }, mode, new SampledForms(sampled, sampled)),
                    LengthReduction = new LengthReduction(2.4, 8, 10, 2.4),
                    Lengths = new LengthHistograms([0, 200], [100], [100]),
                    Failures = new AdapterFailures(failed, failed, failed, failed),
                },
            },
            Switcher = new SwitcherResult { Auc = 0.9, LengthAuc = 0.5, Examples = 100, AdapterAccuracy = 1, Base = mode, Reasoning = mode, Curve = [], Frugal = null, Failures = failed, Questions = [] },
            Verifiers = [new VerifierResult("sums", 0.8, 0.7, 800, 0.7, failed)],
            Traces = [],
        };
    }
}
