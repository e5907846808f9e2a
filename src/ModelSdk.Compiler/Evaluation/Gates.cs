using System.Globalization;
using ModelSdk.Compiler.Logging;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>Judges the manifest's gates by what was measured. Gates are part of no key: a changed one is judged anew, and nothing is measured again.</summary>
internal static class Gates
{
    /// <summary>The gates of the manifest in their fixed order; those that hold pass, the others are reported as errors at their place.</summary>
    /// <param name="inputs">The manifest.</param>
    /// <param name="results">What was measured; null when nothing was.</param>
    /// <param name="log">Takes an error for each gate that does not hold.</param>
    public static IReadOnlyList<GateResult> Judge(CompileInputs inputs, EvaluationResults? results, CompilerLog log)
    {
        List<GateResult> judged = [];
        if (results is null)
        {
            return judged;
        }

        string? name = Subject(inputs.Manifest);
        AdapterResult? adapter = name is null ? null : results.Adapters[name];
        ModeResult deployed = adapter?.Deployed ?? results.Base;
        ModeResult? stated = adapter?.BudgetStated?.BudgetForced ?? adapter?.BudgetStated?.Sft;
        VerifierResult? verifier = results.Verifiers.FirstOrDefault(v => v.Adapter == name);
        GateSettings gates = inputs.Manifest.Evaluation!.Gates;
        IReadOnlyList<FailedExample> none = [];

        Least("minAccuracy", gates.MinAccuracy, deployed.Accuracy, "share of right answers", adapter?.Failures.Wrong ?? results.BaseFailures);
        Most("maxMeanTokens", gates.MaxMeanTokens, deployed.MeanTokens, "mean of generated tokens", adapter?.Failures.Longest ?? none);
        Least("minLengthReduction", gates.MinLengthReduction, adapter?.LengthReduction?.Mean, "mean length after sft divided by that after budget forcing", adapter?.Failures.LeastShortened ?? none, "it needs an adapter with \"budget\"");
        Least("minWithinBudget", gates.MinWithinBudget, stated?.WithinBudget, "share of answers within the stated budget", adapter?.Failures.OverBudget ?? none, "it needs a budget to state: name one in \"evaluation.budget\"");
        Least("minSwitcherAuc", gates.MinSwitcherAuc, results.Switcher?.Auc, "area under the switcher's curve", results.Switcher?.Failures ?? none, "it needs a switcher and \"evaluation.switcherData\"");
        Least("minVerifierAuc", gates.MinVerifierAuc, verifier?.Auc, "area under the verifier's curve", verifier?.Failures ?? none, "it needs an adapter with \"verifier\" and \"evaluation.streams\"");
        return judged;

        void Least(string gate, double? threshold, double? measured, string what, IReadOnlyList<FailedExample> examples, string missing = "") =>
            Add(gate, threshold, measured, measured >= threshold, what, "at least", examples, missing);

        void Most(string gate, double? threshold, double? measured, string what, IReadOnlyList<FailedExample> examples) =>
            Add(gate, threshold, measured, measured <= threshold, what, "at most", examples, "");

        void Add(string gate, double? threshold, double? measured, bool passed, string what, string bound, IReadOnlyList<FailedExample> examples, string missing)
        {
            if (threshold is not double limit)
            {
                return;
            }

            judged.Add(new GateResult(gate, limit, measured, passed));
            if (!passed)
            {
                string subject = gate == "minSwitcherAuc" ? "" : name is null ? " of the base" : $" of {name}";
                string message = measured is double value
                    ? string.Create(CultureInfo.InvariantCulture, $"The {what}{subject} is {value:0.####}, but the gate {gate} asks for {bound} {limit:0.####}.{Examples(examples)} The stages stay in the store; improve the model or move the gate.")
                    : $"The gate {gate} cannot be judged, because the {what}{subject} was not measured: {missing}.";
                log.Report(CompileInputs.ToDiagnostic(inputs.Source.At($"evaluation/gates/{gate}", DiagnosticCodes.GateFailed, ManifestSeverity.Error, message)));
            }
        }
    }

    /// <summary>The adapter that gates judge: the default mode, or the first where that is the base or the switcher; null without any.</summary>
    public static string? Subject(ModelManifest manifest) =>
        manifest.Adapters.Any(a => a.Name == manifest.DefaultMode) ? manifest.DefaultMode
        : manifest.Adapters.Count > 0 ? manifest.Adapters[0].Name
        : null;

    private static string Examples(IReadOnlyList<FailedExample> examples) => examples.Count == 0
        ? ""
        : " For example: " + string.Join("; ", examples.Select(e =>
            string.Create(CultureInfo.InvariantCulture, $"\"{Short(e.Question)}\" expected {Short(e.Expected)}, answered {(e.Answer.Length == 0 ? "nothing" : Short(e.Answer))} in {e.Tokens} tokens{(e.Note is null ? "" : $" ({e.Note})")}"))) + ".";

    private static string Short(string text)
    {
        string line = text.ReplaceLineEndings(" ").Trim();
        return line.Length <= 160 ? line : line[..60] + " ... " + line[^95..];
    }
}
