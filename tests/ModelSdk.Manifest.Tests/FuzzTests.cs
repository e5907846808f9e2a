using CsCheck;

using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

/// <summary>Whatever the text, parsing never throws: it gives a manifest, or errors at places that the text has.</summary>
public class FuzzTests
{
    private static readonly string[] Fragments =
    [
        "{", "}", "[", "]", ":", ",", "\"", "\\", "//", "/*", "*/", "\n", "\r", "\uFEFF", "\ud800", "\udc00", "😀", "null", "true", "-", "1e999", "0", "-0", ".", "\\u0000", "\\ud83d",
        "\"base\"", "\"adapters\": {}", "\"budgets\": {\"a\": 1}", "\"steps\": 1", "\"choice\"", "\"default\": \"a\"", "\"default\": \"auto\"", "\"budgets\": [8]", "\"streams\": 65", "\"budget\": null", "\"verifier\": {}", "\"switcher\": {}", "\"gates\": {}", "1e-320", " ", "\t", "\0", "a", "ß", "\u2028",
        " ", "\n", "1", "7", "/**/", "//\n",
    ];

    private static readonly Gen<string> Mutated = Gen.Select(
        Gen.Int[0, Samples.All.Count - 1],
        Gen.Select(Gen.Int[0, 5], Gen.Double[0, 1], Gen.Int[0, 12], Gen.Int[0, Fragments.Length - 1]).Array[1, 3],
        (sample, edits) =>
        {
            string text = Samples.All[sample];
            foreach ((int kind, double at, int length, int fragment) in edits)
            {
                int start = (int)(at * text.Length);
                int end = Math.Min(text.Length, start + length);
                text = kind switch
                {
                    0 => text[..start] + text[end..],
                    1 => text[..start] + Fragments[fragment] + text[start..],
                    2 => text[..start] + Fragments[fragment] + text[end..],
                    3 => text[..start],
                    4 => text[..end] + text[start..end] + text[end..],
                    _ => text.Length == 0 ? text : text[..^1] + (char)(text[^1] ^ (1 << (fragment % 8))),
                };
            }

            return text;
        });

    [Fact]
    public void Mutated_manifests_give_a_manifest_or_errors_with_valid_places()
    {
        int accepted = 0;
        Mutated.Sample(
            text =>
            {
                ManifestResult result = ManifestParser.Parse(text, "/app/tutor.model.json");
                Assert.Equal(result.Manifest is null, result.Diagnostics.Any(d => d.Severity == ManifestSeverity.Error));
                foreach (ManifestDiagnostic diagnostic in result.Diagnostics) AssertPlace(text, diagnostic);
                if (result.Manifest is { } manifest)
                {
                    Interlocked.Increment(ref accepted);
                    AssertSound(manifest);
                    Assert.Equal(manifest, ManifestParser.Parse(text, "/app/tutor.model.json").Manifest);
                }
            },
            iter: 5_000);
        Assert.True(accepted > 50, $"only {accepted} were accepted: the mutations are too wild to test binding");
    }

    [Fact]
    public void Mutated_locks_give_a_lock_or_errors_with_valid_places() =>
        Mutated.Sample(
            text =>
            {
                foreach (string candidate in new[] { text, ModelLockTests.Sample[..Math.Min(ModelLockTests.Sample.Length, text.Length)] + text })
                {
                    ModelLockResult result = ModelLockParser.Parse(candidate, "x.model.lock.json");
                    Assert.Equal(result.Lock is null, result.Diagnostics.Count > 0);
                    foreach (ManifestDiagnostic diagnostic in result.Diagnostics) AssertPlace(candidate, diagnostic);
                }
            },
            iter: 1_000);

    [Fact]
    public void Names_become_identifiers_that_the_rules_of_CSharp_allow() =>
        Gen.String.Sample(
            name =>
            {
                if (CSharpNames.ToIdentifier(name) is not { } identifier) return;
                Assert.True(identifier.Length <= CSharpNames.MaxLength);
                Assert.True(char.IsLetter(identifier[0]) || identifier[0] == '_' || char.GetUnicodeCategory(identifier[0]) == System.Globalization.UnicodeCategory.LetterNumber, identifier);
                Assert.False(char.IsAsciiLetterLower(identifier[0]), identifier);
                Assert.DoesNotContain(identifier, char.IsSurrogate);
            },
            iter: 5_000);

    private static void AssertPlace(string text, ManifestDiagnostic diagnostic)
    {
        string[] lines = text.Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n', '\r');
        Assert.InRange(diagnostic.Line, 1, lines.Length);
        Assert.InRange(diagnostic.EndLine, diagnostic.Line, lines.Length);
        Assert.InRange(diagnostic.Column, 1, lines[diagnostic.Line - 1].Length + 1);
        Assert.InRange(diagnostic.EndColumn, 1, lines[diagnostic.EndLine - 1].Length + 1);
        if (diagnostic.Line == diagnostic.EndLine) Assert.True(diagnostic.EndColumn >= diagnostic.Column);
        Assert.InRange(diagnostic.Start, 0, text.Length);
        Assert.InRange(diagnostic.Start + diagnostic.Length, diagnostic.Start, text.Length);
        Assert.DoesNotContain(diagnostic.Message, char.IsControl);
        Assert.NotEqual("", diagnostic.Message);
        Assert.Contains(DiagnosticCodes.All, info => info.Code == diagnostic.Code);
    }

    /// <summary>What users of a manifest rely on.</summary>
    private static void AssertSound(ModelManifest manifest)
    {
        Assert.NotEqual("", manifest.Name);
        Assert.True((manifest.Base.Folder is null) == (manifest.Base.Hub is not null && manifest.Base.Revision is not null));
        Assert.True(manifest.DefaultMode == ModelManifest.BaseMode || manifest.Adapters.Any(a => a.Name == manifest.DefaultMode) || (manifest.DefaultMode == ModelManifest.AutoMode && manifest.Switcher is not null));
        Assert.True(manifest.Switcher is null || manifest.Adapters.Count > 0);
        Assert.All(manifest.Budgets, b => Assert.InRange(b.Streams, 1, BudgetSettings.MaxStreams));
        Assert.All(manifest.Adapters.Where(a => a.Budget is not null), a => AssertSound(a.Budget!, manifest.Context ?? ModelManifest.DefaultContextLimit));
        Assert.All(manifest.Adapters.Where(a => a.Verifier is not null), a => AssertSound(a.Verifier!));
        if (manifest.Switcher is { } switcher) AssertSound(switcher);
        if (manifest.Grader is { } grader) Assert.True(grader.Command.Count > 0 && grader.Command[0].Trim().Length > 0 && grader.TimeoutSeconds > 0);
        if (manifest.Evaluation is { } evaluation) AssertSound(evaluation, manifest);
        Assert.All(manifest.Adapters, a => Assert.True((a.Sft.Steps is null) != (a.Sft.Epochs is null)));
        Assert.All(manifest.Adapters, a => Assert.NotEmpty(a.Targets));
        Assert.All(manifest.Adapters.Select(a => a.Identifier).Concat(manifest.Budgets.Select(b => b.Identifier)), i => Assert.NotEqual("", i));
        Assert.Equal(manifest.Adapters.Count, manifest.Adapters.Select(a => a.Identifier).Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.Equal(manifest.Answer.Type == AnswerType.Choice, manifest.Answer.Choices.Count >= 2);
        Assert.Contains(PromptSettings.BudgetPlaceholder, manifest.Prompt.Budget, StringComparison.Ordinal);
        Assert.Contains(manifest.Prompt.ThinkClose, manifest.Prompt.ForceAnswer, StringComparison.Ordinal);
    }

    private static void AssertSound(BudgetForcingSettings budget, int context)
    {
        Assert.NotEmpty(budget.Budgets);
        Assert.Equal(budget.Budgets.Count, budget.Budgets.Distinct().Count());
        Assert.All(budget.Budgets, b => Assert.InRange(b, 1, budget.MaxTokens));
        Assert.True(budget.MaxTokens < context);
        Assert.True(budget.Samples >= 2 && budget.Prompts >= 1 && budget.Steps >= 1 && budget.CheckpointEverySteps >= 1);
        Assert.All(
            new[] { budget.Temperature, budget.LearningRate, budget.MaxGradNorm, budget.Clip, budget.ClipHigh ?? budget.Clip, budget.Tighten },
            above => Assert.True(above > 0 && double.IsFinite(above)));
        Assert.All(new[] { budget.Warmup, budget.WeightDecay, budget.StatedShare, budget.Margin, budget.Floor }, share => Assert.InRange(share, 0, 1));
        Assert.True(budget.Kl >= 0 && double.IsFinite(budget.Kl));
        Assert.NotEqual("", budget.Data);
    }

    private static void AssertSound(VerifierSettings verifier)
    {
        Assert.True(verifier.Questions >= 2 && verifier.Samples >= 1 && verifier.Steps >= 1 && verifier.BatchSize >= 1);
        Assert.True(verifier.Holdout is > 0 and < 1 && verifier.Temperature is > 0 and <= 10 && verifier.LearningRate is > 0 and <= 1);
        Assert.NotEqual("", verifier.Prompt.Trim());
    }

    private static void AssertSound(SwitcherSettings switcher)
    {
        Assert.NotEqual("", switcher.Train);
        Assert.True(switcher.Hidden >= 1 && switcher.Chunk >= 1 && switcher.Steps >= 1 && switcher.BatchSize >= 1);
        Assert.True(switcher.Dropout is >= 0 and < 1 && switcher.Noise is >= 0 and <= 100 && switcher.Smoothing is > 0 and <= 1 && switcher.Threshold is >= 0 and <= 1);
    }

    private static void AssertSound(EvaluationSettings evaluation, ModelManifest manifest)
    {
        Assert.True(evaluation.Seeds is >= 1 and <= 100 && evaluation.Temperature is > 0 and <= 10 && evaluation.StreamTemperature is > 0 and <= 10);
        Assert.All(evaluation.Streams, s => Assert.InRange(s, 1, BudgetSettings.MaxStreams));
        Assert.All(evaluation.HardBudgets, b => Assert.InRange(b, 1, manifest.Context ?? ModelManifest.DefaultContextLimit));
        Assert.True(evaluation.SwitcherData is null || manifest.Switcher is not null);
        Assert.True(evaluation.StreamData is null || evaluation.Streams.Count > 0);

        // A gate never judges what is not measured.
        GateSettings gates = evaluation.Gates;
        Assert.True(gates.MinSwitcherAuc is null || evaluation.SwitcherData is not null);
        Assert.True(gates.MinVerifierAuc is null || (evaluation.Streams.Count > 0 && manifest.Adapters.Any(a => a.Verifier is not null)));
        Assert.True(gates.MinLengthReduction is null || (manifest.StatedBudget is not null && manifest.Adapters.Any(a => a.Budget is not null)));
        Assert.True(gates.MinWithinBudget is null || (manifest.StatedBudget is not null && manifest.Adapters.Count > 0));
        Assert.All(
            new[] { gates.MinAccuracy, gates.MaxMeanTokens, gates.MinLengthReduction, gates.MinWithinBudget, gates.MinSwitcherAuc, gates.MinVerifierAuc },
            gate => Assert.True(gate is null || (gate >= 0 && double.IsFinite(gate.Value))));
    }
}
