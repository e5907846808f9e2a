namespace ModelSdk.Training.Heads;

/// <summary>The rate at which heads learn.</summary>
internal static class HeadSchedule
{
    /// <summary>Linear warm-up over a twentieth of the steps, then a cosine to 0.</summary>
    public static double LearningRate(int step, int steps, double peak) => SftSchedule.LearningRate(step, steps, new Manifest.SftSettings { LearningRate = peak, Warmup = 0.05 });
}
