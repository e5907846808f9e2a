using ModelSdk.Manifest;

namespace ModelSdk.Generators.Model;

/// <summary>One manifest, parsed.</summary>
/// <param name="Path">The manifest's path.</param>
/// <param name="Client">The client's model; null when the manifest has errors.</param>
/// <param name="Diagnostics">Findings in the manifest.</param>
/// <param name="Duplicate">What to report at this manifest if another one generates the same client.</param>
internal sealed record ParsedManifest(
    string Path,
    ClientModel? Client,
    EquatableArray<ManifestDiagnostic> Diagnostics,
    ManifestDiagnostic? Duplicate);
