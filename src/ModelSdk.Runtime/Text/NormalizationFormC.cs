using System.Text;

namespace ModelSdk.Runtime.Text;

/// <summary>Unicode normalization form C with own tables, because .NET returns text unchanged under InvariantGlobalization.</summary>
/// <remarks>Algorithm of the Unicode Standard, section 3.11: decompose, order marks by combining class, compose. Equal to the Hugging Face tokenizers library.</remarks>
internal static class NormalizationFormC
{
    /// <summary>No character below this one changes or takes part in a composition as the second.</summary>
    private const char FirstCombining = '\u0300';

    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TrailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TrailCount = 28, SyllableCount = LeadCount * VowelCount * TrailCount;

    private static readonly Dictionary<int, (int First, int Second)> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];

    static NormalizationFormC()
    {
        ReadOnlySpan<int> table = NormalizationTables.Decompositions;
        for (int i = 0; i < table.Length; i += 3)
        {
            Decompositions.Add(Math.Abs(table[i]), (table[i + 1], table[i + 2]));
            if (table[i] > 0)
                Compositions.Add((table[i + 1], table[i + 2]), table[i]);
        }
    }

    /// <summary>Normalizes well-formed text.</summary>
    public static string Normalize(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange(FirstCombining, char.MaxValue) < 0)
            return text;

        var runes = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            Decompose(rune.Value, runes);
        Order(runes);
        Compose(runes);

        var result = new StringBuilder(text.Length);
        foreach (int rune in runes)
            result.Append(new Rune(rune).ToString());
        return result.ToString();
    }

    private static void Decompose(int rune, List<int> output)
    {
        int syllable = rune - SyllableBase;
        if ((uint)syllable < SyllableCount)
        {
            output.Add(LeadBase + (syllable / (VowelCount * TrailCount)));
            output.Add(VowelBase + (syllable / TrailCount % VowelCount));
            if (syllable % TrailCount != 0)
                output.Add(TrailBase + (syllable % TrailCount));
        }
        else if (rune >= 0xC0 && Decompositions.TryGetValue(rune, out (int First, int Second) parts))
        {
            Decompose(parts.First, output);
            if (parts.Second != 0)
                Decompose(parts.Second, output);
        }
        else
        {
            output.Add(rune);
        }
    }

    /// <summary>Sorts each run of marks by combining class, keeping the order of equals.</summary>
    private static void Order(List<int> runes)
    {
        for (int i = 1; i < runes.Count; i++)
        {
            int rune = runes[i], combining = CombiningClass(rune);
            if (combining == 0)
                continue;
            int at = i;
            for (; at > 0 && CombiningClass(runes[at - 1]) > combining; at--)
                runes[at] = runes[at - 1];
            runes[at] = rune;
        }
    }

    private static void Compose(List<int> runes)
    {
        int starter = -1, lastClass = 0, count = 0;
        for (int i = 0; i < runes.Count; i++)
        {
            int rune = runes[i], combining = CombiningClass(rune);
            bool blocked = starter != count - 1 && lastClass >= combining;
            if (starter >= 0 && !blocked && Pair(runes[starter], rune) is int composed)
            {
                runes[starter] = composed;
                continue;
            }

            if (combining == 0)
                starter = count;
            lastClass = combining;
            runes[count++] = rune;
        }

        runes.RemoveRange(count, runes.Count - count);
    }

    private static int? Pair(int first, int second)
    {
        if ((uint)(first - LeadBase) < LeadCount && (uint)(second - VowelBase) < VowelCount)
            return SyllableBase + ((((first - LeadBase) * VowelCount) + second - VowelBase) * TrailCount);
        if ((uint)(first - SyllableBase) < SyllableCount && (first - SyllableBase) % TrailCount == 0 && second > TrailBase && second < TrailBase + TrailCount)
            return first + second - TrailBase;
        return second >= FirstCombining && Compositions.TryGetValue((first, second), out int composed) ? composed : null;
    }

    /// <summary>Canonical combining class; 0 for starters.</summary>
    private static int CombiningClass(int rune)
    {
        if (rune < FirstCombining)
            return 0;
        ReadOnlySpan<int> ranges = NormalizationTables.CombiningClasses;
        int low = 0, high = (ranges.Length / 3) - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            if (rune < ranges[3 * middle])
                high = middle - 1;
            else if (rune > ranges[(3 * middle) + 1])
                low = middle + 1;
            else
                return ranges[(3 * middle) + 2];
        }

        return 0;
    }
}
