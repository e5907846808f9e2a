using System.Text;

namespace ModelSdk.Runtime.Text;

/// <summary>Splits text as the regular expression of Qwen2's tokenizer.json does, over whole code points.</summary>
/// <remarks>A scanner instead of System.Text.RegularExpressions, whose \p{L} sees the halves of a surrogate pair. It takes the alternatives in the pattern's order.</remarks>
internal static class Qwen2Splitter
{
    /// <summary>The pattern, as it stands in tokenizer.json.</summary>
    public const string Pattern = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private enum Kind
    {
        Letter,
        Number,
        Space,
        Other,
    }

    /// <summary>Length of the piece that begins the text, in UTF-16 units. Every text splits into pieces without gaps.</summary>
    public static int Next(ReadOnlySpan<char> text)
    {
        if (Contraction(text) is int contraction)
            return contraction;

        Kind first = Classify(text, out int length);
        if (first == Kind.Letter)
            return length + Run(text[length..], Kind.Letter);
        if (first == Kind.Number)
            return length;
        if (text[0] is not ('\r' or '\n') && Run(text[length..], Kind.Letter) is > 0 and int letters)
            return length + letters;

        int prefix = text[0] == ' ' ? 1 : 0;
        if (Run(text[prefix..], Kind.Other) is > 0 and int others)
            return prefix + others + NewLines(text[(prefix + others)..]);

        return Spaces(text);
    }

    /// <summary>(?i:'s|'t|'re|'ve|'m|'ll|'d), where case folding lets U+017F (long s) match s.</summary>
    private static int? Contraction(ReadOnlySpan<char> text)
    {
        if (text.Length < 2 || text[0] != '\'')
            return null;
        char first = Lower(text[1]);
        if (first is 's' or 't' or 'm' or 'd' or '\u017F')
            return 2;
        return text.Length > 2 && (first, Lower(text[2])) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : null;
    }

    /// <summary>\s*[\r\n]+, then \s+(?!\S), then \s+.</summary>
    private static int Spaces(ReadOnlySpan<char> text)
    {
        int run = Run(text, Kind.Space);
        int lineEnd = text[..run].LastIndexOfAny('\r', '\n');
        if (lineEnd >= 0)
            return lineEnd + 1;
        return run == text.Length || run == 1 ? run : run - 1;
    }

    private static int NewLines(ReadOnlySpan<char> text)
    {
        int end = text.IndexOfAnyExcept('\r', '\n');
        return end < 0 ? text.Length : end;
    }

    private static int Run(ReadOnlySpan<char> text, Kind kind)
    {
        int end = 0;
        while (end < text.Length && Classify(text[end..], out int length) == kind)
            end += length;
        return end;
    }

    private static Kind Classify(ReadOnlySpan<char> text, out int length)
    {
        char c = text[0];
        if (char.IsAscii(c))
        {
            length = 1;
            if (char.IsAsciiLetter(c))
                return Kind.Letter;
            if (char.IsAsciiDigit(c))
                return Kind.Number;
            return c is ' ' or (>= '\t' and <= '\r') ? Kind.Space : Kind.Other;
        }

        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        if (Rune.IsLetter(rune))
            return Kind.Letter;
        if (Rune.IsNumber(rune))
            return Kind.Number;
        return Rune.IsWhiteSpace(rune) ? Kind.Space : Kind.Other;
    }

    private static char Lower(char c) => char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c;
}
