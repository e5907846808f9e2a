using System.Text;
using System.Text.RegularExpressions;

namespace MathTutor.Recipe.Tokenizers;

/// <summary>Learns a byte-level BPE vocabulary with the Qwen2 split pattern.</summary>
internal static partial class BpeTrainer
{
    /// <summary>The split pattern of Qwen2: words keep their leading space, each digit stands alone.</summary>
    public const string SplitPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>Merges in the order in which they are learnt: the most frequent pair first, the alphabetically first among equals.</summary>
    /// <param name="texts">The text to learn from, without added tokens.</param>
    /// <param name="atLeast">A pair must occur so often to be merged.</param>
    /// <param name="most">Most merges.</param>
    public static IReadOnlyList<(string Left, string Right)> Learn(IEnumerable<string> texts, int atLeast, int most)
    {
        var counts = new Dictionary<string, long>();
        foreach (string text in texts)
        {
            foreach (Match match in Split().Matches(text.Normalize(NormalizationForm.FormC)))
            {
                counts[match.Value] = counts.GetValueOrDefault(match.Value) + 1;
            }
        }

        var words = counts.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => (Symbols: Symbols(c.Key), Count: c.Value)).ToArray();
        var merges = new List<(string, string)>();
        while (merges.Count < most)
        {
            var pairs = new Dictionary<(string, string), long>();
            foreach ((List<string> symbols, long count) in words)
            {
                for (int i = 1; i < symbols.Count; i++)
                {
                    (string, string) pair = (symbols[i - 1], symbols[i]);
                    pairs[pair] = pairs.GetValueOrDefault(pair) + count;
                }
            }

            if (pairs.Count == 0)
            {
                break;
            }

            ((string Left, string Right) best, long times) = pairs
                .OrderByDescending(p => p.Value).ThenBy(p => p.Key.Item1, StringComparer.Ordinal).ThenBy(p => p.Key.Item2, StringComparer.Ordinal).First();
            if (times < atLeast)
            {
                break;
            }

            merges.Add(best);
            foreach ((List<string> symbols, _) in words)
            {
                Merge(symbols, best);
            }
        }

        return merges;
    }

    /// <summary>The text of a byte in a byte-level vocabulary: printable bytes stand for themselves, the others for 256 and on.</summary>
    public static IReadOnlyList<string> ByteSymbols { get; } = MakeByteSymbols();

    private static List<string> Symbols(string word) => [.. Encoding.UTF8.GetBytes(word).Select(b => ByteSymbols[b])];

    private static void Merge(List<string> symbols, (string Left, string Right) pair)
    {
        for (int i = 0; i + 1 < symbols.Count; i++)
        {
            if (symbols[i] == pair.Left && symbols[i + 1] == pair.Right)
            {
                symbols[i] += symbols[i + 1];
                symbols.RemoveAt(i + 1);
            }
        }
    }

    private static string[] MakeByteSymbols()
    {
        var symbols = new string[256];
        int next = 256;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            symbols[b] = ((char)(printable ? b : next++)).ToString();
        }

        return symbols;
    }

    [GeneratedRegex(SplitPattern, RegexOptions.CultureInvariant)]
    private static partial Regex Split();
}
