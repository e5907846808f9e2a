using ModelSdk.Training.Heads;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>The few statistics that measurements are summed up with.</summary>
internal static class Statistics
{
    /// <summary>Five decimals: finer than any interval here, and the same text on every run.</summary>
    public static double Round(double value) => Math.Round(value, 5);

    /// <summary>Rounded, or null for what is no number.</summary>
    public static double? Finite(double value) => double.IsFinite(value) ? Round(value) : null;

    /// <summary>The mean; 0 of nothing.</summary>
    public static double Mean(IReadOnlyCollection<double> values) => values.Count == 0 ? 0 : values.Sum() / values.Count;

    /// <summary>The median; of an even number of values the mean of the middle two; 0 of nothing.</summary>
    public static double Median(IReadOnlyCollection<int> values)
    {
        int[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? 0 : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2.0;
    }

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

    /// <summary>Area under the ROC curve; one half when there is no positive or no negative: nothing can be told apart.</summary>
    public static double Auc(IReadOnlyList<double> scores, IReadOnlyList<bool> positive)
    {
        double area = AreaUnderCurve.Of(scores, positive);
        return double.IsNaN(area) ? 0.5 : area;
    }
}
