namespace ModelSdk.Manifest.Json;

/// <summary>A text with its path, which turns offsets into lines and columns.</summary>
internal sealed class SourceText(string text, string path)
{
    private List<int>? lineStarts;

    public string Text { get; } = text;

    public string Path { get; } = path;

    /// <summary>Offsets of first characters; found when the first place is asked for, as most texts have no mistake.</summary>
    private List<int> LineStarts => lineStarts ??= FindLines();

    public ManifestDiagnostic Diagnostic(TextRange range, string code, ManifestSeverity severity, string message)
    {
        (int line, int column) = Position(range.Start);
        (int endLine, int endColumn) = Position(range.End);
        return new ManifestDiagnostic(code, severity, message, Path, line, column, endLine, endColumn)
        {
            Start = range.Start,
            Length = range.Length,
        };
    }

    private (int Line, int Column) Position(int offset)
    {
        if (offset == 0) return (1, 1);
        int index = LineStarts.BinarySearch(offset);
        if (index < 0) index = ~index - 1;
        index = Math.Max(index, 0);
        return (index + 1, Math.Max(offset - LineStarts[index], 0) + 1);
    }

    private List<int> FindLines()
    {
        // A byte order mark is not a column.
        List<int> starts = [Text.Length > 0 && Text[0] == '\uFEFF' ? 1 : 0];
        for (int i = 0; i < Text.Length; i++)
        {
            if (Text[i] == '\n' || (Text[i] == '\r' && (i + 1 == Text.Length || Text[i + 1] != '\n')))
                starts.Add(i + 1);
        }

        return starts;
    }
}
