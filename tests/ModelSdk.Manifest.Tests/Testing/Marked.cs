using System.Globalization;

namespace ModelSdk.Manifest.Tests.Testing;

/// <summary>A text with one place marked: <c>{ "base": [|1|] }</c>.</summary>
internal sealed class Marked
{
    public Marked(string marked)
    {
        int start = marked.IndexOf("[|", StringComparison.Ordinal);
        int end = marked.IndexOf("|]", StringComparison.Ordinal) - 2;
        Assert.True(start >= 0 && end >= start, "the text has no mark");
        Text = marked.Remove(end + 2, 2).Remove(start, 2);
        Span = string.Create(CultureInfo.InvariantCulture, $"({Position(start)},{Position(end)})");
    }

    public string Text { get; }

    /// <summary>The marked place as (line,column,endLine,endColumn), counted independently of the parser.</summary>
    public string Span { get; }

    public static string SpanOf(ManifestDiagnostic d) => string.Create(CultureInfo.InvariantCulture, $"({d.Line},{d.Column},{d.EndLine},{d.EndColumn})");

    /// <summary>Asserts that parsing the text reports this one error at the mark.</summary>
    public static ManifestDiagnostic Reports(string code, string marked, string path = "/app/tutor.model.json")
    {
        var text = new Marked(marked);
        ManifestResult result = ManifestParser.Parse(text.Text, path);
        ManifestDiagnostic diagnostic = Assert.Single(result.Diagnostics);
        Assert.Equal((code, text.Span), (diagnostic.Code, SpanOf(diagnostic)));
        Assert.Equal(ManifestSeverity.Error, diagnostic.Severity);
        Assert.Equal(path, diagnostic.Path);
        Assert.Null(result.Manifest);
        return diagnostic;
    }

    private string Position(int offset)
    {
        string[] lines = Text[..offset].Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n', '\r');
        return string.Create(CultureInfo.InvariantCulture, $"{lines.Length},{lines[^1].TrimStart('\uFEFF').Length + 1}");
    }
}
