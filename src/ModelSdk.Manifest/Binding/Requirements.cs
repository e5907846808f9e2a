namespace ModelSdk.Manifest.Binding;

/// <summary>
/// What settings need of each other: a measurement that a gate judges must be made, a switcher must have a choice.
/// A setting with a mistake in it counts as there: the mistake is reported already.
/// </summary>
internal static class Requirements
{
    /// <summary>Reports what is missing, at the setting that needs it.</summary>
    public static void Check(ModelManifest manifest, BindingContext context)
    {
        bool hasAdapters = manifest.Adapters.Count > 0 || context.IsWrong("adapters");
        bool hasSwitcher = manifest.Switcher is not null || context.IsWrong("switcher");
        if (hasSwitcher && !hasAdapters)
            Missing("switcher", "A switcher chooses between the base and the adapters, but the model has no adapter; add one under 'adapters', or remove 'switcher'.");

        foreach (AdapterSettings adapter in manifest.Adapters.Where(a => a.Import is not null))
        {
            if (adapter.Budget is not null && adapter.BudgetData is null)
                Missing($"adapters/{adapter.Name}/budget", $"The adapter '{adapter.Name}' is imported, so it has no training data to take questions from; give 'budget' its own with \"data\".");
            if (adapter.Verifier is not null && adapter.VerifierData is null)
                Missing($"adapters/{adapter.Name}/verifier", $"The adapter '{adapter.Name}' is imported, so it has no training data to take questions from; give 'verifier' its own with \"data\".");
        }

        CheckCalibration(manifest, context);
        if (manifest.Evaluation is not { } evaluation) return;
        bool hasStreams = evaluation.Streams.Count > 0 || context.IsWrong("evaluation/streams");
        bool hasSwitcherData = evaluation.SwitcherData is not null || context.IsWrong("evaluation/switcherData");
        bool statesBudget = manifest.StatedBudget is not null || context.IsWrong("evaluation/budget") || context.IsWrong("budgets");
        if (evaluation.SwitcherData is not null && !hasSwitcher)
            Missing("evaluation/switcherData", "'switcherData' measures a switcher, which the model does not have; add 'switcher', or remove it.");
        if (evaluation.StreamData is not null && !hasStreams)
            Missing("evaluation/streamData", "'streamData' is read only where streams are measured; add 'streams' to the evaluation, such as [1, 2, 4, 8], or remove it.");

        GateSettings gates = evaluation.Gates;
        AdapterSettings? judged = Judged(manifest);
        if (gates.MinLengthReduction is not null && !Has("budget", judged?.Budget is not null))
            Missing("evaluation/gates/minLengthReduction", "'minLengthReduction' compares lengths before and after budget forcing, which is off; add 'budget' to the adapter, or remove the gate.");
        else if (gates.MinLengthReduction is not null && !statesBudget)
            Missing("evaluation/gates/minLengthReduction", Stated("minLengthReduction"));

        if (gates.MinWithinBudget is not null && !hasAdapters)
            Missing("evaluation/gates/minWithinBudget", "'minWithinBudget' judges an adapter, but the model has none; add one under 'adapters', or remove the gate.");
        else if (gates.MinWithinBudget is not null && !statesBudget)
            Missing("evaluation/gates/minWithinBudget", Stated("minWithinBudget"));

        if (gates.MinSwitcherAuc is not null && !hasSwitcher)
            Missing("evaluation/gates/minSwitcherAuc", "'minSwitcherAuc' judges a switcher, which the model does not have; add 'switcher' and 'switcherData' of the evaluation, or remove the gate.");
        else if (gates.MinSwitcherAuc is not null && !hasSwitcherData)
            Missing("evaluation/gates/minSwitcherAuc", "'minSwitcherAuc' needs questions that measure the switcher; add 'switcherData' to the evaluation, or remove the gate.");

        if (gates.MinVerifierAuc is not null && !Has("verifier", judged?.Verifier is not null))
            Missing("evaluation/gates/minVerifierAuc", "'minVerifierAuc' judges a verifier, which the adapter does not have; add 'verifier' to it, or remove the gate.");
        else if (gates.MinVerifierAuc is not null && !hasStreams)
            Missing("evaluation/gates/minVerifierAuc", "'minVerifierAuc' is measured on streams, which are not measured; add 'streams' to the evaluation, such as [1, 2, 4, 8], or remove the gate.");

        void Missing(string pointer, string message) => context.ErrorAt(pointer, DiagnosticCodes.RequiresSetting, message);

        bool Has(string setting, bool read) => read || (judged is null ? hasAdapters : context.IsWrong($"adapters/{judged.Name}/{setting}"));
    }

    /// <summary>Solvers that look at activations need texts, and texts need such a solver.</summary>
    private static void CheckCalibration(ModelManifest manifest, BindingContext context)
    {
        QuantizationSettings settings = manifest.Quantization;
        bool wrong = context.IsWrong("quantization/quality") || context.IsWrong("quantization/weights") || context.IsWrong("quantization/calibration");
        if (wrong) return;
        if (settings.Calibration is not null && !settings.Calibrates)
        {
            context.ErrorAt(
                "quantization/calibration",
                DiagnosticCodes.RequiresSetting,
                settings.Weights == WeightFormat.None
                    ? "'calibration' has no use where 'weights' is \"none\": nothing is quantized; remove it."
                    : "'calibration' is read only with 'quality' \"balanced\" or \"best\"; add one of them, or remove it.");
        }
        else if (settings.Calibrates && settings.Calibration is null && manifest.Adapters.All(a => a.Import is not null) && !context.IsWrong("adapters"))
        {
            context.ErrorAt("quantization/quality", DiagnosticCodes.RequiresSetting, "This quality looks at what flows through the base, but there are no texts: no adapter is trained here, whose data could be used. Give a file with 'calibration', or use \"fast\".");
        }
    }

    private static string Stated(string gate) =>
        $"'{gate}' is measured with a budget stated, but there is none; add 'budget' to the evaluation, or a budget to 'budgets', or remove the gate.";

    /// <summary>The adapter that gates judge: the default, else the first.</summary>
    private static AdapterSettings? Judged(ModelManifest manifest) =>
        manifest.Adapters.FirstOrDefault(a => a.Name == manifest.DefaultMode) ?? (manifest.Adapters.Count > 0 ? manifest.Adapters[0] : null);
}
