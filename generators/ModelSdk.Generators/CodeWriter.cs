using System.Text;

namespace ModelSdk.Generators;

/// <summary>Source text with indentation; lines end with a line feed on every system.</summary>
internal sealed class CodeWriter
{
    private readonly StringBuilder text = new();
    private int depth;

    /// <summary>Adds lines at the current depth; an empty text adds an empty line.</summary>
    public CodeWriter Line(string lines = "")
    {
        foreach (string line in lines.Split('\n'))
        {
            string content = line.TrimEnd('\r');
            if (content.Length > 0) text.Append(' ', depth * 4).Append(content);
            text.Append('\n');
        }

        return this;
    }

    /// <summary>Opens a brace; the lines up to <see cref="Close"/> stand deeper.</summary>
    public CodeWriter Open(string lines)
    {
        Line(lines).Line("{");
        depth++;
        return this;
    }

    /// <summary>Closes the brace.</summary>
    public CodeWriter Close()
    {
        depth--;
        return Line("}");
    }

    /// <inheritdoc/>
    public override string ToString() => text.ToString();
}
