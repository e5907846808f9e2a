namespace ModelSdk.Compiler.Evaluation;

/// <summary>The few statistics that measurements are summed up with.</summary>
internal static class Statistics
{
    /// <summary>Five decimals: finer than any interval here, and the same text on every run.</summary>
    public static double Round(double value) => Math.Round(value, 5);

    /// <summary>The mean; 0 of nothing.</summary>
    public static double Mean(IReadOnlyCollection<double> values) => values.Count == 0 ? 0 : values.Sum() / values.Count;

    /// <summary>The standard deviation of a sample (n - 1); 0 of fewer than two values.</summary>
    public static double Deviation(IReadOnlyCollection<double> values)
    {
        if (values.Count < 2)
        {
            return 0;
        }

        double mean = Mean(values);
        return Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
    }

    /// <summary>The 95% Wilson score interval of a share (E. B. Wilson, 1927): unlike the normal one it holds near 0 and 1.</summary>
    public static (double Low, double High) Wilson(int right, int count)
    {
        if (count == 0)
        {
            return (0, 1);
        }

        const double z = 1.959963984540054;
        double share = (double)right / count;
        double denominator = 1 + (z * z / count);
        double centre = (share + (z * z / (2 * count))) / denominator;
        double half = z / denominator * Math.Sqrt((share * (1 - share) / count) + (z * z / (4.0 * count * count)));
        return (Math.Max(0, centre - half), Math.Min(1, centre + half));
    }

    /// <summary>
    /// Area under the ROC curve: the chance that a random positive scores above a random negative, ties counting half (Mann-Whitney U).
    /// </summary>
    /// <returns>One half when there is no positive or no negative.</returns>
    public static double Auc(IReadOnlyCollection<(double Score, bool Positive)> samples)
    {
        long positives = samples.Count(s => s.Positive);
        long negatives = samples.Count - positives;
        if (positives == 0 || negatives == 0)
        {
            return 0.5;
        }

        double wins = 0;
        long below = 0;
        foreach (IGrouping<double, (double Score, bool Positive)> tie in samples.GroupBy(s => s.Score).OrderBy(g => g.Key))
        {
            long up = tie.Count(s => s.Positive);
            long down = tie.Count() - up;
            wins += up * (below + (down / 2.0));
            below += down;
        }

        return wins / ((double)positives * negatives);
    }
}
