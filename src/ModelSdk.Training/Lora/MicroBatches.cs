namespace ModelSdk.Training;

/// <summary>Cuts a set of sequences into rectangles of similar length.</summary>
internal static class MicroBatches
{
    /// <summary>Sorts by length and fills rectangles of at most <paramref name="maxTokens"/> tokens, padding included; a longer sequence stands alone.</summary>
    /// <remarks>The rectangles hold about equally many tokens, so that none is much too small to compute fast.</remarks>
    public static List<T[]> Split<T>(IReadOnlyList<T> items, Func<T, int> length, int maxTokens)
    {
        var sorted = items.Select((item, index) => (item, index)).OrderBy(e => length(e.item)).ThenBy(e => e.index).Select(e => e.item).ToArray();
        var total = sorted.Sum(i => (long)length(i));
        var target = Math.Min(maxTokens, (total / Math.Max(1, (total + maxTokens - 1) / maxTokens)) + 1);
        var batches = new List<T[]>();
        var start = 0;
        while (start < sorted.Length)
        {
            int end = start + 1;
            long filled = length(sorted[start]);
            while (end < sorted.Length && filled < target && (long)length(sorted[end]) * (end + 1 - start) <= maxTokens)
            {
                filled += length(sorted[end++]);
            }

            batches.Add(sorted[start..end]);
            start = end;
        }

        return batches;
    }
}
