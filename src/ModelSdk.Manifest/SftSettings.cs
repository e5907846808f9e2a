namespace ModelSdk.Manifest;

/// <summary>Supervised fine-tuning of one adapter: AdamW, cosine schedule, loss on response tokens (paper 2).</summary>
public sealed record SftSettings
{
    /// <summary>Optimizer steps, from 1; null counts <see cref="Epochs"/> instead. Exactly one of the two is set.</summary>
    public int? Steps { get; init; }

    /// <summary>Passes over the data, above 0; null counts <see cref="Steps"/> instead. Default 5 where no steps are given (paper 2).</summary>
    public double? Epochs { get; init; } = 5;

    /// <summary>Examples a step. Default 64 (paper 2).</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate of AdamW, above 0 to 1. Default 2e-4 (paper 2); small bases want more.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>Share of the steps in which the rate rises from 0, 0 to 1. Default 0.1 (paper 2).</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>Weight decay of AdamW, 0 to 1. Default 0 (paper 2).</summary>
    public double WeightDecay { get; init; }

    /// <summary>Gradients are scaled down to this norm, above 0. Default 1.0 (paper 4 states it; the same is used here).</summary>
    public double MaxGradNorm { get; init; } = 1.0;

    /// <summary>Steps between checkpoints, from 1. Default 20 (ours): a killed build loses at most that many.</summary>
    public int CheckpointEverySteps { get; init; } = 20;
}
