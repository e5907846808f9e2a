using System.Globalization;

namespace ModelSdk.Manifest.Binding;

/// <summary>What settings need of each other: a measurement that a gate judges must be made, a switcher must have a choice.</summary>
internal static class Requirements
{
    /// <summary>Reports what is missing, by the place in the manifest that needs it, with code and message.</summary>
    public static void Check(ModelManifest manifest, Action<string, string, string> report)
    {
        foreach (AdapterSettings adapter in manifest.Adapters)
        {
            if (adapter.Budget is not { } forcing || forcing.Budgets.Count == 0 || forcing.Budgets.Max() <= forcing.MaxTokens) continue;
            report(
                $"adapters/{adapter.Name}/budget/budgets",
                DiagnosticCodes.InvalidValue,
                string.Format(
                    CultureInfo.InvariantCulture,
                    "The budget of {0} tokens is longer than the {1} tokens that a completion may have, so it would shorten nothing; lower it, or raise 'maxTokens' of '{2}'.",
                    forcing.Budgets.Max(),
                    forcing.MaxTokens,
                    adapter.Name));
        }

        if (manifest.Switcher is not null && manifest.Adapters.Count == 0)
            Missing("switcher", "A switcher chooses between the base and the adapters, but the model has no adapter; add one under 'adapters', or remove 'switcher'.");

        if (manifest.Evaluation is not { } evaluation) return;
        if (evaluation.SwitcherData is not null && manifest.Switcher is null)
            Missing("evaluation/switcherData", "'switcherData' measures a switcher, which the model does not have; add 'switcher', or remove it.");
        if (evaluation.StreamData is not null && evaluation.Streams.Count == 0)
            Missing("evaluation/streamData", "'streamData' is read only where streams are measured; add 'streams' to the evaluation, such as [1, 2, 4, 8], or remove it.");

        GateSettings gates = evaluation.Gates;
        if (gates.MinLengthReduction is not null && !Judged(manifest).Any(a => a.Budget is not null))
            Missing("evaluation/gates/minLengthReduction", "'minLengthReduction' compares lengths before and after budget forcing, which is off; add 'budget' to the adapter, or remove the gate.");
        if ((gates.MinLengthReduction is not null || gates.MinWithinBudget is not null) && manifest.StatedBudget is null)
        {
            string gate = gates.MinWithinBudget is not null ? "minWithinBudget" : "minLengthReduction";
            Missing($"evaluation/gates/{gate}", $"'{gate}' is measured with a budget stated, but there is none; add 'budget' to the evaluation, or a budget to 'budgets', or remove the gate.");
        }

        if (gates.MinWithinBudget is not null && manifest.Adapters.Count == 0)
            Missing("evaluation/gates/minWithinBudget", "'minWithinBudget' judges an adapter, but the model has none; add one under 'adapters', or remove the gate.");
        if (gates.MinSwitcherAuc is not null && evaluation.SwitcherData is null)
        {
            Missing(
                "evaluation/gates/minSwitcherAuc",
                manifest.Switcher is null
                    ? "'minSwitcherAuc' judges a switcher, which the model does not have; add 'switcher' and 'switcherData' of the evaluation, or remove the gate."
                    : "'minSwitcherAuc' needs questions that measure the switcher; add 'switcherData' to the evaluation, or remove the gate.");
        }

        if (gates.MinVerifierAuc is not null && !Judged(manifest).Any(a => a.Verifier is not null))
            Missing("evaluation/gates/minVerifierAuc", "'minVerifierAuc' judges a verifier, which the adapter does not have; add 'verifier' to it, or remove the gate.");
        else if (gates.MinVerifierAuc is not null && evaluation.Streams.Count == 0)
            Missing("evaluation/gates/minVerifierAuc", "'minVerifierAuc' is measured on streams, which are not measured; add 'streams' to the evaluation, such as [1, 2, 4, 8], or remove the gate.");

        void Missing(string pointer, string message) => report(pointer, DiagnosticCodes.RequiresSetting, message);
    }

    /// <summary>The adapter that gates judge: the default, else the first.</summary>
    private static IEnumerable<AdapterSettings> Judged(ModelManifest manifest)
    {
        AdapterSettings? judged = manifest.Adapters.FirstOrDefault(a => a.Name == manifest.DefaultMode) ?? (manifest.Adapters.Count > 0 ? manifest.Adapters[0] : null);
        return judged is null ? [] : [judged];
    }
}
