using System.Globalization;
using System.Text;

namespace ModelSdk.Tasks;

/// <summary>
/// One line of <c>modelc --log json</c>: a flat JSON object. Read by hand, because a task that brings no assemblies
/// of its own cannot clash with those of the build.
/// </summary>
internal sealed class CompilerEvent
{
    private readonly Dictionary<string, string> values = new(StringComparer.Ordinal);
    private readonly string text;
    private int position;

    private CompilerEvent(string text) => this.text = text;

    /// <summary>What the line is about: diagnostic, stage, progress, input or bundle.</summary>
    public string? Kind => this["kind"];

    /// <summary>A value as text, numbers and truth values as written; null when absent, null or nested.</summary>
    public string? this[string name] => values.TryGetValue(name, out string? value) ? value : null;

    /// <summary>A whole number; null when absent.</summary>
    public long? Integer(string name) =>
        long.TryParse(this[name], NumberStyles.Integer, CultureInfo.InvariantCulture, out long value) ? value : null;

    /// <summary>A number; null when absent.</summary>
    public double? Number(string name) =>
        double.TryParse(this[name], NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : null;

    /// <summary>Reads a line; null when it is no JSON object.</summary>
    public static CompilerEvent? Parse(string line)
    {
        var parsed = new CompilerEvent(line.Trim().TrimStart('\uFEFF'));
        try
        {
            return parsed.ReadObject() ? parsed : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private bool ReadObject()
    {
        if (text.Length == 0 || text[0] != '{') return false;
        position = 1;
        SkipSpace();
        while (Current != '}')
        {
            string name = ReadString();
            SkipSpace();
            Expect(':');
            SkipSpace();
            if (Current == '"') values[name] = ReadString();
            else if (Current is '{' or '[') SkipNested();
            else if (ReadWord() is var word && word != "null") values[name] = word;
            SkipSpace();
            if (Current != ',') break;
            position++;
            SkipSpace();
        }

        Expect('}');
        SkipSpace();
        return position == text.Length;
    }

    private char Current => position < text.Length ? text[position] : throw new FormatException();

    private void Expect(char c)
    {
        if (Current != c) throw new FormatException();
        position++;
    }

    private void SkipSpace()
    {
        while (position < text.Length && text[position] is ' ' or '\t') position++;
    }

    private string ReadWord()
    {
        int start = position;
        while (Current is not (',' or '}' or ' ')) position++;
        return text.Substring(start, position - start);
    }

    private void SkipNested()
    {
        int depth = 0;
        do
        {
            char c = Current;
            if (c == '"')
            {
                ReadString();
                continue;
            }

            if (c is '{' or '[') depth++;
            else if (c is '}' or ']') depth--;
            position++;
        }
        while (depth > 0);
    }

    private string ReadString()
    {
        Expect('"');
        var result = new StringBuilder();
        while (Current != '"')
        {
            char c = Current;
            position++;
            if (c != '\\')
            {
                result.Append(c);
                continue;
            }

            char escaped = Current;
            position++;
            result.Append(escaped switch
            {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\b',
                'f' => '\f',
                'u' => ReadCodeUnit(),
                _ => escaped,
            });
        }

        position++;
        return result.ToString();
    }

    private char ReadCodeUnit()
    {
        if (position + 4 > text.Length || !ushort.TryParse(text.Substring(position, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ushort unit))
        {
            throw new FormatException();
        }

        position += 4;
        return (char)unit;
    }
}
