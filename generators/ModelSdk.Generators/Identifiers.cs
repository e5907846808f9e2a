using System.Text;
using Microsoft.CodeAnalysis.CSharp;

namespace ModelSdk.Generators;

/// <summary>Texts of C# that stand for names and strings.</summary>
internal static class Identifiers
{
    /// <summary>A root namespace as C# can write it: keywords get an @, other characters that no identifier has become underscores; empty stays empty.</summary>
    public static string Namespace(string rootNamespace) =>
        string.Join(".", rootNamespace.Split(['.'], StringSplitOptions.RemoveEmptyEntries).Select(Part));

    /// <summary>A string literal; what cannot be printed is escaped.</summary>
    public static string Literal(string text) => SymbolDisplay.FormatLiteral(text, quote: true);

    private static string Part(string part)
    {
        var identifier = new StringBuilder();
        foreach (char c in part.Trim())
        {
            if (identifier.Length == 0 && !SyntaxFacts.IsIdentifierStartCharacter(c)) identifier.Append('_');
            if (SyntaxFacts.IsIdentifierPartCharacter(c)) identifier.Append(c);
            else if (identifier.Length == 0 || identifier[identifier.Length - 1] != '_') identifier.Append('_');
        }

        string name = identifier.Length == 0 ? "_" : identifier.ToString();
        return SyntaxFacts.GetKeywordKind(name) != SyntaxKind.None ? "@" + name : name;
    }
}
