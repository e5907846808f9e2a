using ModelSdk.Manifest.Binding;
using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest;

/// <summary>
/// Reads manifests. Pure: no file is opened, so it also runs inside the C# compiler; what needs the disk is in
/// <c>ManifestFiles</c>.
/// </summary>
public static class ManifestParser
{
    /// <summary>Reads a manifest; reports every mistake once, at its place.</summary>
    /// <param name="text">The JSON text; comments and trailing commas are allowed.</param>
    /// <param name="path">The file it came from: for diagnostics, and for the default of the model's name.</param>
    /// <returns>A manifest with all defaults, or at least one error.</returns>
    public static ManifestResult Parse(string text, string path)
    {
        if (text is null) throw new ArgumentNullException(nameof(text));
        if (path is null) throw new ArgumentNullException(nameof(path));
        var source = new SourceText(text, path);
        var diagnostics = new List<ManifestDiagnostic>();
        var context = new BindingContext(source, diagnostics);
        JsonValue? root = JsonReader.Read(source, diagnostics);
        ModelManifest? manifest = root is null ? null : ManifestBinder.Bind(root, context);
        if (diagnostics.Any(d => d.Severity == ManifestSeverity.Error)) manifest = null;
        return new ManifestResult(context, manifest, [.. diagnostics.OrderBy(d => d.Start)]);
    }
}
