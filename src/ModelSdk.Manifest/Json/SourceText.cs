namespace ModelSdk.Manifest.Json;

/// <summary>A text with its path, which turns offsets into lines and columns.</summary>
internal sealed class SourceText
{
    private readonly List<int> lineStarts = [0];

    public SourceText(string text, string path)
    {
        Text = text;
        Path = path;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.Length || text[i + 1] != '\n')))
                lineStarts.Add(i + 1);
        }

        // A byte order mark is not a column.
        if (text.Length > 0 && text[0] == '\uFEFF') lineStarts[0] = 1;
    }

    public string Text { get; }

    public string Path { get; }

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
        int index = lineStarts.BinarySearch(offset);
        if (index < 0) index = ~index - 1;
        index = Math.Max(index, 0);
        return (index + 1, Math.Max(offset - lineStarts[index], 0) + 1);
    }
}
