using ModelSdk.Manifest;

namespace ModelSdk.Generators.Model;

/// <summary>One lock file, parsed.</summary>
/// <param name="Path">The lock file's path.</param>
/// <param name="Measured">What was measured; empty when the lock has errors.</param>
/// <param name="Diagnostics">Findings in the lock file.</param>
internal sealed record ParsedLock(
    string Path,
    EquatableArray<MeasuredMode> Measured,
    EquatableArray<ManifestDiagnostic> Diagnostics);
