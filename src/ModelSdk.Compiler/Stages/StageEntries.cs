using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler.Stages;

/// <summary>The entries that a compile came to, for its report.</summary>
/// <param name="Sft">What sft left of each adapter, in the manifest's order.</param>
/// <param name="Shipped">What is shipped of each adapter: the entry of its budget stage, or that of <paramref name="Sft"/> where it has none.</param>
/// <param name="Switcher">The switcher's training; null without one.</param>
/// <param name="Verifiers">The verifiers' trainings, by adapter.</param>
/// <param name="Exported">Graphs.</param>
/// <param name="Evaluated">Measurements; null without evaluation data.</param>
internal sealed record StageEntries(
    IReadOnlyList<StoreEntry> Sft,
    IReadOnlyList<StoreEntry> Shipped,
    StoreEntry? Switcher,
    IReadOnlyDictionary<string, StoreEntry> Verifiers,
    StoreEntry Exported,
    StoreEntry? Evaluated);
