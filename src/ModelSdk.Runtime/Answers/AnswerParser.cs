using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelSdk.Runtime;

/// <summary>Reads typed answers out of a model's answer text, in the invariant culture.</summary>
/// <remarks>
/// The whole text counts first: surrounding white space and one trailing period are ignored. A text that is not the value alone
/// is accepted when it holds exactly one different value ("The answer is 16."). Anything else is refused, never guessed.
/// Units may follow a number ("16kg"); commas that group thousands ("1,204") are accepted.
/// </remarks>
public static partial class AnswerParser
{
    /// <summary>Reads an integer of 32 bits.</summary>
    /// <param name="text">The answer's text.</param>
    /// <exception cref="AnswerFormatException">The text is not one integer, or it does not fit.</exception>
    public static int ParseInteger(string text) =>
        TryParseInteger(text, out int value) ? value : throw new AnswerFormatException("an integer", text);

    /// <summary>Reads a floating point number.</summary>
    /// <param name="text">The answer's text.</param>
    /// <exception cref="AnswerFormatException">The text is not one finite number.</exception>
    public static double ParseNumber(string text) =>
        TryParseNumber(text, out double value) ? value : throw new AnswerFormatException("a number", text);

    /// <summary>Finds which of the choices the answer is; case is ignored.</summary>
    /// <param name="text">The answer's text.</param>
    /// <param name="choices">The allowed answers.</param>
    /// <returns>The choice as written in <paramref name="choices"/>.</returns>
    /// <exception cref="AnswerFormatException">The text is none of the choices and does not name exactly one of them.</exception>
    public static string ParseChoice(string text, IReadOnlyList<string> choices) =>
        TryParseChoice(text, choices, out string? value) ? value : throw new AnswerFormatException($"one of {string.Join(", ", choices)}", text);

    /// <summary>The answer as text: without surrounding white space.</summary>
    /// <param name="text">The answer's text.</param>
    public static string ParseText(string text) => text.Trim();

    /// <summary>Reads an integer of 32 bits.</summary>
    /// <param name="text">The answer's text.</param>
    /// <param name="value">The integer.</param>
    public static bool TryParseInteger(string text, out int value)
    {
        value = 0;
        if (OneNumber(text) is not string number)
            return false;
        // "16.0" is an integer too: models that calculate write it.
        return decimal.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal exact)
            && exact == decimal.Truncate(exact)
            && exact is >= int.MinValue and <= int.MaxValue
            && (value = (int)exact) == exact;
    }

    /// <summary>Reads a finite floating point number.</summary>
    /// <param name="text">The answer's text.</param>
    /// <param name="value">The number.</param>
    public static bool TryParseNumber(string text, out double value)
    {
        value = 0;
        return OneNumber(text) is string number
            && double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out value)
            && double.IsFinite(value);
    }

    /// <summary>Finds which of the choices the answer is; case is ignored.</summary>
    /// <param name="text">The answer's text.</param>
    /// <param name="choices">The allowed answers.</param>
    /// <param name="value">The choice as written in <paramref name="choices"/>.</param>
    public static bool TryParseChoice(string text, IReadOnlyList<string> choices, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? value)
    {
        string trimmed = Core(text);
        value = null;
        foreach (string choice in choices)
        {
            if (string.Equals(trimmed, choice, StringComparison.OrdinalIgnoreCase))
            {
                value = choice;
                return true;
            }
        }

        foreach (string choice in choices)
        {
            if (!ContainsWord(trimmed, choice) || choices.Any(other => other.Length > choice.Length && ContainsWord(other, choice) && ContainsWord(trimmed, other)))
                continue;
            if (value is not null)
            {
                value = null;
                return false;
            }

            value = choice;
        }

        return value is not null;
    }

    private static string Core(string text)
    {
        string trimmed = text.Trim();
        return trimmed.EndsWith('.') ? trimmed[..^1].TrimEnd() : trimmed;
    }

    /// <summary>The text's only number (grouping commas removed), or null when it holds none or several different ones.</summary>
    private static string? OneNumber(string text)
    {
        string? found = null;
        foreach (ValueMatch match in Number.EnumerateMatches(text))
        {
            string number = text.Substring(match.Index, match.Length).Replace(",", "", StringComparison.Ordinal);
            if (found is not null && found != number)
                return null;
            found = number;
        }

        return found;
    }

    private static bool ContainsWord(string text, string word)
    {
        for (int at = text.IndexOf(word, StringComparison.OrdinalIgnoreCase); at >= 0; at = text.IndexOf(word, at + 1, StringComparison.OrdinalIgnoreCase))
        {
            int end = at + word.Length;
            if ((at == 0 || !char.IsLetterOrDigit(text[at - 1])) && (end == text.Length || !char.IsLetterOrDigit(text[end])))
                return true;
        }

        return false;
    }

    // A sign counts only where no letter or digit stands before it, so that "5-3" holds 5 and 3. Units may follow at once ("16kg").
    [GeneratedRegex(@"(?<![\p{L}\p{N}_.])[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", RegexOptions.CultureInvariant)]
    private static partial Regex Number { get; }
}
