using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest.Binding;

/// <summary>Where binding reports to, and the places of the values that it read.</summary>
internal sealed class BindingContext(SourceText source, List<ManifestDiagnostic> diagnostics)
{
    public SourceText Source { get; } = source;

    /// <summary>Ranges of values by pointer, for example <c>adapters/arithmetic/train</c>.</summary>
    public Dictionary<string, TextRange> Ranges { get; } = new(StringComparer.Ordinal);

    /// <summary>The range of a value, or of its nearest parent that the file has.</summary>
    public TextRange RangeAt(string pointer)
    {
        TextRange range;
        while (!Ranges.TryGetValue(pointer, out range) && pointer.Length > 0)
            pointer = pointer.Substring(0, Math.Max(0, pointer.LastIndexOf('/')));
        return range;
    }

    /// <summary>Whether the file has a value at the pointer, and a mistake in it.</summary>
    public bool IsWrong(string pointer) =>
        Ranges.TryGetValue(pointer, out TextRange range)
        && diagnostics.Any(d => d.Severity == ManifestSeverity.Error && d.Start >= range.Start && d.Start + d.Length <= range.Start + range.Length);

    /// <summary>Reports what follows from several values, at one of them; nothing where that value is wrong in itself.</summary>
    public void ErrorAt(string pointer, string code, string message)
    {
        TextRange range = RangeAt(pointer);
        if (!diagnostics.Any(d => d.Start == range.Start && d.Length == range.Length)) Error(range, code, message);
    }

    public void Error(TextRange range, string code, string message) =>
        diagnostics.Add(Source.Diagnostic(range, code, ManifestSeverity.Error, message));

    public void Warning(TextRange range, string code, string message) =>
        diagnostics.Add(Source.Diagnostic(range, code, ManifestSeverity.Warning, message));
}
