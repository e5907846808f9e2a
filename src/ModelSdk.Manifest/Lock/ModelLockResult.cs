namespace ModelSdk.Manifest;

/// <summary>What reading a lock file gave: a lock, or at least one error.</summary>
/// <param name="Lock">The lock; null when there is an error.</param>
/// <param name="Diagnostics">Findings in the order of the file.</param>
public sealed record ModelLockResult(ModelLock? Lock, EquatableArray<ManifestDiagnostic> Diagnostics);
