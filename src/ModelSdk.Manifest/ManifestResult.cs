using ModelSdk.Manifest.Binding;

namespace ModelSdk.Manifest;

/// <summary>What parsing gave: a manifest, or at least one error; warnings may come with either.</summary>
public sealed class ManifestResult
{
    private readonly BindingContext context;

    internal ManifestResult(BindingContext context, ModelManifest? manifest, IReadOnlyList<ManifestDiagnostic> diagnostics)
    {
        this.context = context;
        Manifest = manifest;
        Diagnostics = diagnostics;
    }

    /// <summary>The manifest; null when there is an error.</summary>
    public ModelManifest? Manifest { get; }

    /// <summary>Findings in the order of the file.</summary>
    public IReadOnlyList<ManifestDiagnostic> Diagnostics { get; }

    /// <summary>The manifest's file, as it was handed in.</summary>
    public string Path => context.Source.Path;

    /// <summary>
    /// A diagnostic at a value of the manifest, for findings of later stages: the value at <paramref name="pointer"/>
    /// (for example <c>adapters/arithmetic/train</c>), or at its nearest parent that the file has.
    /// </summary>
    public ManifestDiagnostic At(string pointer, string code, ManifestSeverity severity, string message)
    {
        if (pointer is null) throw new ArgumentNullException(nameof(pointer));
        return context.Source.Diagnostic(context.RangeAt(pointer), code, severity, message);
    }
}
