using ModelSdk.Manifest;

namespace ModelSdk.Training;

/// <summary>Reward, advantages and budgets of GRPO (paper 4), as plain arithmetic.</summary>
internal static class GrpoReward
{
    /// <summary>Added to deviations, as TRL does: groups that differ by next to nothing are not blown up.</summary>
    private const double Epsilon = 1e-4;

    /// <summary>Soft barrier: 1 up to (1 - m) B, the floor beyond (1 + m) B, linear between.</summary>
    /// <param name="length">Counted tokens, L.</param>
    /// <param name="budget">Budget B; null: none, always 1.</param>
    /// <param name="margin">m.</param>
    /// <param name="floor">p.</param>
    public static double Barrier(int length, int? budget, double margin, double floor)
    {
        if (budget is not { } limit)
        {
            return 1;
        }

        double full = (1 - margin) * limit, none = (1 + margin) * limit;
        return length <= full ? 1 : length > none ? floor : floor + ((1 - floor) * (none - length) / (none - full));
    }

    /// <summary>
    /// Most tokens that are worth sampling: beyond the barrier the reward is 0 however the completion goes on. With a floor, or where
    /// the reasoning alone is counted, that is not so.
    /// </summary>
    public static int WorthSampling(int? budget, BudgetForcingSettings settings) =>
        budget is { } limit && settings.Floor == 0 && settings.Length == CountedLength.Total
            ? Math.Min(settings.MaxTokens, (int)Math.Floor((1 + settings.Margin) * limit) + 1)
            : settings.MaxTokens;

    /// <summary>Whether all rewards are one: such a group teaches nothing and is dropped.</summary>
    public static bool IsFlat(IReadOnlyList<double> rewards) => rewards.Count < 2 || rewards.Max() - rewards.Min() < 1e-9;

    /// <summary>(reward - mean of the group) / (deviation + epsilon); the deviation is that of the group or of the whole batch.</summary>
    /// <param name="groups">Rewards of each group of the batch.</param>
    /// <param name="scale">What to divide by.</param>
    public static double[][] Advantages(IReadOnlyList<double[]> groups, AdvantageScale scale)
    {
        var batch = scale == AdvantageScale.Batch ? Deviation([.. groups.SelectMany(g => g)]) : 0;
        return [.. groups.Select(group =>
        {
            double mean = group.Average(), by = (scale == AdvantageScale.Batch ? batch : Deviation(group)) + Epsilon;
            return group.Select(r => (r - mean) / by).ToArray();
        })];
    }

    /// <summary>Factor of the budgets: falls linearly from 1 at the first step to <paramref name="tighten"/> at the last.</summary>
    public static double TightenFactor(int step, int steps, double tighten) => steps <= 1 ? 1 : 1 - ((1 - tighten) * step / (steps - 1));

    /// <summary>Sample deviation, with n - 1.</summary>
    private static double Deviation(double[] values)
    {
        var mean = values.Average();
        return values.Length < 2 ? 0 : Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Length - 1));
    }
}
