namespace ModelSdk.Training;

/// <summary>Puts the numbers of a step together.</summary>
internal static class GrpoMeasure
{
    public static GrpoStep Step(int step, int steps, IReadOnlyList<GrpoGroup> all, IReadOnlyList<GrpoGroup> kept, GrpoGradient learnt, double norm, double rate, TimeSpan sampling, TimeSpan training, long drawn, long updates)
    {
        GrpoSample[] samples = [.. all.SelectMany(g => g.Samples)];
        bool[] within = [.. all.Where(g => g.Budget is not null).SelectMany(g => g.Samples.Select(s => s.Rollout.Ended && s.Length <= g.Budget))];
        return new GrpoStep(
            step + 1,
            steps,
            Reward: samples.Average(s => s.Reward),
            Accuracy: samples.Average(s => s.Score),
            MeanTokens: samples.Average(s => s.Rollout.Tokens.Length),
            WithinBudget: within.Length == 0 ? double.NaN : within.Count(w => w) / (double)within.Length,
            learnt.Kl,
            learnt.Loss,
            norm,
            ZeroDeviation: 1 - (kept.Count / (double)all.Count),
            learnt.Clipped,
            learnt.Disagreement,
            rate,
            RolloutTokensPerSecond: samples.Sum(s => s.Rollout.Tokens.Length) / Math.Max(1e-9, sampling.TotalSeconds),
            TrainingTokensPerSecond: learnt.Tokens / Math.Max(1e-9, training.TotalSeconds),
            drawn,
            updates);
    }
}
