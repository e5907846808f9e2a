namespace ModelSdk.Training.Heads;

/// <summary>Area under the ROC curve.</summary>
public static class AreaUnderCurve
{
    /// <summary>Probability that a positive scores higher than a negative, ties counting half (Mann-Whitney).</summary>
    /// <param name="scores">Score of each example; higher means more likely positive.</param>
    /// <param name="positive">Whether it is one.</param>
    /// <returns>0..1; NaN where positives or negatives are missing.</returns>
    public static double Of(IReadOnlyList<double> scores, IReadOnlyList<bool> positive)
    {
        if (scores.Count != positive.Count)
        {
            throw new ArgumentException($"{scores.Count} scores, but {positive.Count} labels.", nameof(positive));
        }

        var order = Enumerable.Range(0, scores.Count).OrderBy(i => scores[i]).ToArray();
        double ranks = 0;
        long positives = 0;
        for (var start = 0; start < order.Length;)
        {
            var end = start;
            while (end < order.Length && scores[order[end]].Equals(scores[order[start]]))
            {
                end++;
            }

            var rank = (start + 1 + end) / 2.0; // ties share their mean rank
            var among = order.AsSpan(start, end - start).ToArray().Count(i => positive[i]);
            ranks += rank * among;
            positives += among;
            start = end;
        }

        var negatives = scores.Count - positives;
        return (ranks - (positives * (positives + 1) / 2.0)) / ((double)positives * negatives);
    }
}
