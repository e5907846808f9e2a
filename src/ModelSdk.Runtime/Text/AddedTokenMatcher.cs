using System.Buffers;

namespace ModelSdk.Runtime.Text;

/// <summary>Finds added tokens in text: the leftmost match, and of those the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<char> _firstCharacters;
    private readonly Dictionary<char, (string Content, int Id)[]> _byFirst;

    /// <summary>Creates a matcher of texts and their token ids; empty texts never match.</summary>
    public AddedTokenMatcher(IEnumerable<(string Content, int Id)> tokens)
    {
        _byFirst = tokens
            .Where(t => t.Content.Length > 0)
            .GroupBy(t => t.Content[0])
            .ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Content.Length).ToArray());
        _firstCharacters = SearchValues.Create([.. _byFirst.Keys]);
    }

    /// <summary>Finds the first match. False where there is none.</summary>
    public bool Find(ReadOnlySpan<char> text, out int start, out int length, out int id)
    {
        for (start = 0; start < text.Length; start++)
        {
            int skip = text[start..].IndexOfAny(_firstCharacters);
            if (skip < 0)
                break;
            start += skip;
            foreach ((string content, int token) in _byFirst[text[start]])
            {
                if (text[start..].StartsWith(content, StringComparison.Ordinal))
                {
                    (length, id) = (content.Length, token);
                    return true;
                }
            }
        }

        (length, id) = (0, 0);
        return false;
    }
}
