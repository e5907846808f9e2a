using System.Globalization;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Voting;

/// <summary>Writes answers that mean the same in the same way, read as the generated client reads them, so that they can be counted.</summary>
public static class AnswerNormalizer
{
    /// <summary>The normal form of an answer; null when the text is no answer of the type.</summary>
    /// <param name="type">The bundle's answer type.</param>
    /// <param name="text">The answer's text.</param>
    /// <returns>
    /// Integers and numbers in the invariant culture ("16" for "16.0 kg"), choices as the manifest writes them, text trimmed with runs of white space as one
    /// space (its case is left to the comparison, which ignores it).
    /// </returns>
    public static string? Normalize(BundleAnswer type, string text)
    {
        ArgumentNullException.ThrowIfNull(type);
        ArgumentNullException.ThrowIfNull(text);
        switch (type.Type)
        {
            case "integer":
                return AnswerParser.TryParseInteger(text, out int integer) ? integer.ToString(CultureInfo.InvariantCulture) : null;
            case "number":
                // Adding zero makes 0 of -0.
                return AnswerParser.TryParseNumber(text, out double number) ? (number + 0.0).ToString("R", CultureInfo.InvariantCulture) : null;
            case "choice":
                return AnswerParser.TryParseChoice(text, type.Choices ?? [], out string? choice) ? choice : null;
            default:
                string collapsed = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
                return collapsed.Length == 0 ? null : collapsed;
        }
    }
}
