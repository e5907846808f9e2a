using System.Globalization;
using System.Text;

namespace ModelSdk.Manifest.Json;

/// <summary>
/// Reads JSON with positions. Stricter than most readers where that catches mistakes (duplicate properties, lone
/// surrogates, depth), laxer where people write by hand: <c>//</c> and <c>/* */</c> comments and trailing commas are
/// allowed. Stops at the first syntax error; duplicate properties do not stop it.
/// </summary>
internal sealed class JsonReader
{
    /// <summary>A manifest has a depth of 4.</summary>
    public const int MaxDepth = 32;

    /// <summary>A long manifest has some thousand characters.</summary>
    public const int MaxLength = 1 << 20;

    private readonly SourceText source;
    private readonly string text;
    private readonly List<ManifestDiagnostic> diagnostics;
    private int position;
    private int depth;

    private JsonReader(SourceText source, List<ManifestDiagnostic> diagnostics)
    {
        this.source = source;
        this.diagnostics = diagnostics;
        text = source.Text;
    }

    /// <summary>The value of the whole text, or null after an error.</summary>
    public static JsonValue? Read(SourceText source, List<ManifestDiagnostic> diagnostics)
    {
        var reader = new JsonReader(source, diagnostics);
        try
        {
            return reader.ReadDocument();
        }
        catch (JsonSyntaxException error)
        {
            diagnostics.Add(source.Diagnostic(error.Range, error.Code, ManifestSeverity.Error, error.Message));
            return null;
        }
    }

    private JsonValue ReadDocument()
    {
        if (text.Length > MaxLength)
        {
            throw new JsonSyntaxException(
                DiagnosticCodes.FileTooLarge,
                new TextRange(0, 0),
                string.Format(CultureInfo.InvariantCulture, "The file has {0:N0} characters; at most {1:N0} are read. Data belongs in files of its own.", text.Length, MaxLength));
        }

        if (text.Length > 0 && text[0] == '\uFEFF') position = 1;
        SkipTrivia();
        JsonValue value = ReadValue();
        SkipTrivia();
        if (position < text.Length) throw Error(position, 1, "The JSON ends before this character; remove what follows.");
        return value;
    }

    private JsonValue ReadValue()
    {
        if (position >= text.Length) throw EndOfText("a value");
        char c = text[position];
        switch (c)
        {
            case '{': return ReadObject();
            case '[': return ReadArray();
            case '"':
                int start = position;
                string content = ReadString();
                return new JsonValue(JsonKind.String, TextRange.Between(start, position)) { Text = content };
            case '-' or (>= '0' and <= '9'): return ReadNumber();
            default: return ReadWord();
        }
    }

    private JsonValue ReadObject()
    {
        int start = position++;
        Enter(start);
        var properties = new List<JsonProperty>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        SkipTrivia();
        while (Peek("'}' or a property") != '}')
        {
            int nameStart = position;
            if (text[position] == '\'') throw Error(position, 1, "Names are written in double quotes.");
            if (text[position] != '"') throw Error(position, 1, $"Expected '}}' or a property's name in double quotes, but found {Describe(text[position])}.");
            string name = ReadString();
            var nameRange = TextRange.Between(nameStart, position);
            SkipTrivia();
            if (Peek("':'") != ':') throw Error(position, 1, $"Expected ':' after the property's name, but found {Describe(text[position])}.");
            position++;
            SkipTrivia();
            JsonValue value = ReadValue();
            if (seen.Add(name))
            {
                properties.Add(new JsonProperty(name, nameRange, value));
            }
            else
            {
                diagnostics.Add(source.Diagnostic(
                    nameRange,
                    DiagnosticCodes.DuplicateProperty,
                    ManifestSeverity.Error,
                    $"The property {Quote(name)} is given twice in this object; remove one."));
            }

            if (!NextItem('}')) break;
        }

        position++;
        depth--;
        return new JsonValue(JsonKind.Object, TextRange.Between(start, position)) { Properties = properties };
    }

    private JsonValue ReadArray()
    {
        int start = position++;
        Enter(start);
        var items = new List<JsonValue>();
        SkipTrivia();
        while (Peek("']' or a value") != ']')
        {
            items.Add(ReadValue());
            if (!NextItem(']')) break;
        }

        position++;
        depth--;
        return new JsonValue(JsonKind.Array, TextRange.Between(start, position)) { Items = items };
    }

    private void Enter(int start)
    {
        if (++depth > MaxDepth)
        {
            throw new JsonSyntaxException(
                DiagnosticCodes.NestedTooDeep,
                new TextRange(start, 1),
                $"Arrays and objects are nested deeper than {MaxDepth} levels; nothing in this file needs that.");
        }
    }

    /// <summary>After an item: true before the next one; false before <paramref name="close"/>, with or without a trailing comma.</summary>
    private bool NextItem(char close)
    {
        SkipTrivia();
        char c = Peek($"',' or '{close}'");
        if (c == close) return false;
        if (c != ',') throw Error(position, 1, $"Expected ',' or '{close}', but found {Describe(c)}.");
        position++;
        SkipTrivia();
        return true;
    }

    private string ReadString()
    {
        int start = position++;
        StringBuilder? decoded = null;
        int copied = position;
        while (true)
        {
            if (position >= text.Length) throw Error(start, text.Length - start, "The text is not closed; a '\"' is missing.");
            char c = text[position];
            if (c == '"') break;
            if (c is '\n' or '\r') throw Error(start, position - start, "The text is not closed on its line; close it with '\"', or write \\n for a line break.");
            if (c < ' ') throw Error(position, 1, $"Control characters are written as escapes in JSON: \\u{(int)c:x4}.");
            if (c == '\\')
            {
                decoded ??= new StringBuilder();
                decoded.Append(text, copied, position - copied);
                ReadEscape(decoded);
                copied = position;
            }
            else if (char.IsSurrogate(c))
            {
                if (!char.IsHighSurrogate(c) || position + 1 >= text.Length || !char.IsLowSurrogate(text[position + 1]))
                    throw Error(position, 1, "Half of a surrogate pair: the text is damaged.");
                position += 2;
            }
            else
            {
                position++;
            }
        }

        string content = decoded is null
            ? text.Substring(copied, position - copied)
            : decoded.Append(text, copied, position - copied).ToString();
        position++;
        return content;
    }

    private void ReadEscape(StringBuilder decoded)
    {
        int start = position++;
        char c = position < text.Length ? text[position] : '\0';
        int simple = "\"\\/bfnrt".IndexOf(c);
        if (simple >= 0)
        {
            decoded.Append("\"\\/\b\f\n\r\t"[simple]);
            position++;
            return;
        }

        if (c != 'u') throw Error(start, Math.Min(2, text.Length - start), "Not an escape of JSON: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits exist. Write a backslash as \\\\.");
        char first = ReadUnit(start);
        decoded.Append(first);
        if (!char.IsSurrogate(first)) return;
        if (char.IsHighSurrogate(first) && position + 1 < text.Length && text[position] == '\\' && text[position + 1] == 'u')
        {
            position++;
            char second = ReadUnit(position - 1);
            if (char.IsLowSurrogate(second))
            {
                decoded.Append(second);
                return;
            }
        }

        throw Error(start, position - start, "Half of a surrogate pair; characters beyond \\uffff are written as two escapes, a high and a low surrogate.");
    }

    /// <summary>The UTF-16 unit of <c>uXXXX</c> at the position.</summary>
    private char ReadUnit(int start)
    {
        position++;
        int unit = 0;
        for (int i = 0; i < 4; i++, position++)
        {
            int digit = position < text.Length ? HexDigit(text[position]) : -1;
            if (digit < 0) throw Error(start, position - start, "\\u is followed by four hexadecimal digits.");
            unit = (unit << 4) | digit;
        }

        return (char)unit;
    }

    private static int HexDigit(char c) => c switch
    {
        >= '0' and <= '9' => c - '0',
        >= 'a' and <= 'f' => c - 'a' + 10,
        >= 'A' and <= 'F' => c - 'A' + 10,
        _ => -1,
    };

    private JsonValue ReadNumber()
    {
        int start = position;
        if (text[position] == '-') position++;
        int digits = Digits();
        if (digits == 0) throw Error(start, position - start, "A digit must follow '-'.");
        if (digits > 1 && text[position - digits] == '0') throw Error(start, position - start, "Numbers do not begin with a zero; remove it.");
        if (position < text.Length && text[position] == '.')
        {
            position++;
            if (Digits() == 0) throw Error(start, position - start, "A digit must follow the point.");
        }

        if (position < text.Length && text[position] is 'e' or 'E')
        {
            position++;
            if (position < text.Length && text[position] is '+' or '-') position++;
            if (Digits() == 0) throw Error(start, position - start, "A digit must follow the exponent's sign.");
        }

        if (position < text.Length && (char.IsLetterOrDigit(text[position]) || text[position] is '_' or '.'))
            throw Error(start, position + 1 - start, $"Not a number of JSON: {Describe(text[position])} cannot follow here.");
        return new JsonValue(JsonKind.Number, TextRange.Between(start, position)) { Text = text.Substring(start, position - start) };
    }

    private int Digits()
    {
        int start = position;
        while (position < text.Length && text[position] is >= '0' and <= '9') position++;
        return position - start;
    }

    private JsonValue ReadWord()
    {
        int start = position;
        while (position < text.Length && (char.IsLetterOrDigit(text[position]) || text[position] == '_')) position++;
        var range = TextRange.Between(start, position);
        switch (text.Substring(start, position - start))
        {
            case "true": return new JsonValue(JsonKind.Boolean, range) { Boolean = true };
            case "false": return new JsonValue(JsonKind.Boolean, range);
            case "null": return new JsonValue(JsonKind.Null, range);
        }

        if (range.Length == 0) throw Error(start, 1, $"Expected a value, but found {Describe(text[start])}.");
        throw Error(start, range.Length, "Not a value of JSON; texts are written in double quotes, and the words true, false and null in small letters.");
    }

    private void SkipTrivia()
    {
        while (position < text.Length)
        {
            char c = text[position];
            if (c is ' ' or '\t' or '\n' or '\r')
            {
                position++;
            }
            else if (c == '/' && position + 1 < text.Length && text[position + 1] == '/')
            {
                while (position < text.Length && text[position] is not ('\n' or '\r')) position++;
            }
            else if (c == '/' && position + 1 < text.Length && text[position + 1] == '*')
            {
                int end = text.IndexOf("*/", position + 2, StringComparison.Ordinal);
                if (end < 0) throw Error(position, text.Length - position, "The comment is not closed; '*/' is missing.");
                position = end + 2;
            }
            else
            {
                return;
            }
        }
    }

    private char Peek(string expected) => position < text.Length ? text[position] : throw EndOfText(expected);

    private JsonSyntaxException EndOfText(string expected) => Error(text.Length, 0, $"The file ends where {expected} is expected.");

    private static JsonSyntaxException Error(int start, int length, string message) =>
        new(DiagnosticCodes.InvalidJson, new TextRange(start, length), message);

    private static string Describe(char c) =>
        char.IsControl(c) || char.IsSurrogate(c) || char.IsWhiteSpace(c)
            ? string.Format(CultureInfo.InvariantCulture, "U+{0:X4}", (int)c)
            : "'" + c + "'";

    /// <summary>A name in quotes, short and on one line, for messages.</summary>
    public static string Quote(string name)
    {
        var quoted = new StringBuilder("'");
        foreach (char c in name.Length <= 60 ? name : name.Substring(0, 59) + "…")
            quoted.Append(char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029' ? '�' : c);
        return quoted.Append('\'').ToString();
    }

    private sealed class JsonSyntaxException(string code, TextRange range, string message) : Exception(message)
    {
        public string Code { get; } = code;

        public TextRange Range { get; } = range;
    }
}
