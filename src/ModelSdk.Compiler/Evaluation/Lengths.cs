namespace ModelSdk.Compiler.Evaluation;

/// <summary>Length distributions of answers.</summary>
internal static class Lengths
{
    private const int Bins = 24;

    /// <summary>Histograms of both forms over the same bins, which are of one width and cover all lengths.</summary>
    public static LengthHistograms Of(IReadOnlyList<ScoredAnswer> sft, IReadOnlyList<ScoredAnswer>? budget)
    {
        int longest = sft.Concat(budget ?? []).Select(a => a.Tokens).DefaultIfEmpty(0).Max();
        int width = Math.Max(1, (longest + Bins) / Bins);
        int[] edges = [.. Enumerable.Range(0, (longest / width) + 2).Select(i => i * width)];
        return new LengthHistograms(edges, Count(sft), budget is null ? null : Count(budget));

        int[] Count(IReadOnlyList<ScoredAnswer> answers)
        {
            int[] counts = new int[edges.Length - 1];
            foreach (ScoredAnswer answer in answers)
            {
                counts[answer.Tokens / width]++;
            }

            return counts;
        }
    }

    /// <summary>How much shorter the second form's answers are.</summary>
    /// <param name="before">After SFT.</param>
    /// <param name="after">After budget forcing; the same questions.</param>
    /// <param name="budget">The budget that was stated to both, or null.</param>
    /// <param name="sampled">The same ratio of sampled means, or null.</param>
    public static LengthReduction Reduction(IReadOnlyList<ScoredAnswer> before, IReadOnlyList<ScoredAnswer> after, int? budget, double? sampled) => new(
        Statistics.Round(before.Sum(a => (double)a.Tokens) / Math.Max(1, after.Sum(a => (double)a.Tokens))),
        Statistics.Round(before.Zip(after).Select(p => (double)p.First.Tokens / Math.Max(1, p.Second.Tokens)).DefaultIfEmpty(0).Max()),
        budget,
        sampled is double ratio ? Statistics.Round(ratio) : null);
}
