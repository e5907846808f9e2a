using System.Globalization;
using System.Text;

namespace ModelSdk.Manifest;

/// <summary>Turns names of a manifest into C# identifiers.</summary>
public static class CSharpNames
{
    /// <summary>The longest identifier that is made; C# itself ends at 511 characters.</summary>
    public const int MaxLength = 128;

    /// <summary>
    /// The identifier in PascalCase: everything that is no letter or digit separates words, each word begins with a
    /// capital, and a leading digit gets an underscore (<c>long-run</c> gives <c>LongRun</c>, <c>8k</c> gives
    /// <c>_8k</c>). Null where nothing is left, or where it would be longer than <see cref="MaxLength"/>.
    /// Never a keyword: keywords begin with a small letter.
    /// </summary>
    public static string? ToIdentifier(string name)
    {
        if (name is null) throw new ArgumentNullException(nameof(name));
        var identifier = new StringBuilder();
        bool wordStart = true;
        foreach (char c in name)
        {
            switch (CharUnicodeInfo.GetUnicodeCategory(c))
            {
                case UnicodeCategory.UppercaseLetter:
                case UnicodeCategory.LowercaseLetter:
                case UnicodeCategory.TitlecaseLetter:
                case UnicodeCategory.ModifierLetter:
                case UnicodeCategory.OtherLetter:
                case UnicodeCategory.LetterNumber:
                    identifier.Append(wordStart ? char.ToUpperInvariant(c) : c);
                    wordStart = false;
                    break;
                case UnicodeCategory.DecimalDigitNumber:
                    if (identifier.Length == 0) identifier.Append('_');
                    identifier.Append(c);
                    wordStart = false;
                    break;
                case UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark when identifier.Length > 0 && !wordStart:
                    identifier.Append(c);
                    break;
                default:
                    wordStart = true;
                    break;
            }

            if (identifier.Length > MaxLength) return null;
        }

        return identifier.Length == 0 ? null : identifier.ToString();
    }
}
