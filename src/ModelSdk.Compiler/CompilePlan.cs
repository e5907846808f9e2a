using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler;

/// <summary>One step of a compile.</summary>
/// <param name="Stage">Stage name, one of <see cref="StageNames"/>.</param>
/// <param name="Adapter">The adapter it belongs to; null for stages that exist once.</param>
/// <param name="Key">Where its output lies in the store.</param>
public sealed record PlannedStage(string Stage, string? Adapter, StageKey Key);

/// <summary>
/// The keys of all stages, top to bottom. A key holds the digests of the files and the settings that its stage really reads, and the
/// keys of the stages before it: so renaming a budget or an adapter trains nothing, and new evaluation data measures only.
/// </summary>
public sealed class CompilePlan
{
    /// <summary>Checks the inputs and takes a copy of the small ones.</summary>
    public required PlannedStage Resolve { get; init; }

    /// <summary>Quantizes the base.</summary>
    public required PlannedStage Quantize { get; init; }

    /// <summary>Trains one adapter, in the manifest's order.</summary>
    public required IReadOnlyList<PlannedStage> Sft { get; init; }

    /// <summary>Shortens one adapter's reasoning, in the manifest's order; adapters without budget forcing are missing.</summary>
    public required IReadOnlyList<PlannedStage> Budget { get; init; }

    /// <summary>Trains the switcher; null when the manifest has none.</summary>
    public required PlannedStage? Switcher { get; init; }

    /// <summary>Trains the verifier of one adapter, in the manifest's order; adapters without one are missing.</summary>
    public required IReadOnlyList<PlannedStage> Verifier { get; init; }

    /// <summary>Writes and verifies the graphs.</summary>
    public required PlannedStage Export { get; init; }

    /// <summary>Measures the modes; null when the manifest has no evaluation data.</summary>
    public required PlannedStage? Evaluate { get; init; }

    /// <summary>Puts the bundle together.</summary>
    public required PlannedStage Bundle { get; init; }

    /// <summary>All steps in the order in which they run.</summary>
    public IEnumerable<PlannedStage> Stages =>
    [
        Resolve, Quantize, .. Sft, .. Budget, .. Switcher is null ? [] : new[] { Switcher }, .. Verifier, Export, .. Evaluate is null ? [] : new[] { Evaluate }, Bundle,
    ];

    /// <summary>The digest of everything the compile reads: what the lock file records.</summary>
    public string InputsDigest => "sha256:" + Bundle.Key.Hash;

    /// <summary>Computes the keys; reads no file.</summary>
    public static CompilePlan Create(CompileInputs inputs)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        StageKey resolve = ResolveStage.Key(inputs);
        StageKey quantize = QuantizeStage.Key(inputs);
        List<PlannedStage> sft = [.. inputs.Manifest.Adapters.Select(a => new PlannedStage(StageNames.Sft, a.Name, a.Import is null ? SftStage.Key(inputs, a, quantize) : ImportedAdapter.Key(inputs, a, quantize)))];
        List<PlannedStage> budget =
        [
            .. inputs.Manifest.Adapters.Zip(sft).Where(p => p.First.Budget is not null)
                .Select(p => new PlannedStage(StageNames.Budget, p.First.Name, BudgetStage.Key(inputs, p.First, p.Second.Key))),
        ];
        List<PlannedStage> shipped = [.. sft.Select(s => budget.Find(b => b.Adapter == s.Adapter) ?? s)];
        PlannedStage? switcher = inputs.Switcher is null ? null : new PlannedStage(StageNames.Switcher, null, SwitcherStage.Key(inputs, quantize));
        List<PlannedStage> verifier =
        [
            .. inputs.Manifest.Adapters.Zip(shipped).Where(p => p.First.Verifier is not null)
                .Select(p => new PlannedStage(StageNames.Verifier, p.First.Name, VerifierStage.Key(inputs, p.First, p.Second.Key))),
        ];
        StageKey export = ExportStage.Key(inputs, quantize, shipped, switcher?.Key, verifier);
        StageKey? evaluate = inputs.Evaluation is null ? null : EvaluateStage.Key(inputs, export);
        return new CompilePlan
        {
            Resolve = new PlannedStage(StageNames.Resolve, null, resolve),
            Quantize = new PlannedStage(StageNames.Quantize, null, quantize),
            Sft = sft,
            Budget = budget,
            Switcher = switcher,
            Verifier = verifier,
            Export = new PlannedStage(StageNames.Export, null, export),
            Evaluate = evaluate is null ? null : new PlannedStage(StageNames.Evaluate, null, evaluate),
            Bundle = new PlannedStage(StageNames.Bundle, null, BundleStage.Key(inputs, export, evaluate)),
        };
    }
}

/// <summary>The stages' names, in the order in which they run.</summary>
public static class StageNames
{
    /// <summary>Checks the inputs and takes a copy of the small ones.</summary>
    public const string Resolve = "resolve";

    /// <summary>Quantizes the base.</summary>
    public const string Quantize = "quantize";

    /// <summary>Trains the adapters by supervised fine-tuning.</summary>
    public const string Sft = "sft";

    /// <summary>Makes adapters keep to a token budget by reinforcement learning.</summary>
    public const string Budget = "budget";

    /// <summary>Trains the head that chooses the mode of a prompt.</summary>
    public const string Switcher = "switcher";

    /// <summary>Trains the heads that judge answers.</summary>
    public const string Verifier = "verifier";

    /// <summary>Writes and verifies the ONNX graphs.</summary>
    public const string Export = "export";

    /// <summary>Measures the modes on unseen questions.</summary>
    public const string Evaluate = "evaluate";

    /// <summary>Puts the bundle together.</summary>
    public const string Bundle = "bundle";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Resolve, Quantize, Sft, Budget, Switcher, Verifier, Export, Evaluate, Bundle];
}
