namespace MathTutor.Recipe.Pretraining;

/// <summary>Settings of the base's training; the defaults made the committed checkpoint.</summary>
internal sealed record PretrainingOptions
{
    /// <summary>Seed of weights and text.</summary>
    public long Seed { get; init; } = 1;

    /// <summary>Tokens of the first stage, padding included.</summary>
    public long FirstStage { get; init; } = 16_000_000;

    /// <summary>Tokens of the second stage, which goes on with deeper problems.</summary>
    public long SecondStage { get; init; } = 8_000_000;

    /// <summary>Tokens a step, padding included.</summary>
    public int TokensPerStep { get; init; } = 4096;

    /// <summary>Width of the residual stream.</summary>
    public int Width { get; init; } = 192;

    /// <summary>Layers.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Width of the feed-forward network.</summary>
    public int FeedForward { get; init; } = 384;

    /// <summary>Positions, in tokens.</summary>
    public int Context { get; init; } = 512;

    /// <summary>Highest learning rate of Muon (hidden matrices).</summary>
    public double MatrixRate { get; init; } = 0.015;

    /// <summary>Highest learning rate of AdamW (embeddings, norms, biases).</summary>
    public double OtherRate { get; init; } = 0.004;

    /// <summary>Height of the second stage's rates, as a share of the first stage's.</summary>
    public double SecondRate { get; init; } = 0.4;

    /// <summary>Share of a stage in which the rates rise from 0.</summary>
    public double Warmup { get; init; } = 0.01;

    /// <summary>Share of the first stage at whose end the rates have fallen in a straight line to <see cref="LastRate"/> of their height; the second falls from its start.</summary>
    public double Decay { get; init; } = 0.7;

    /// <summary>Share of the rates that is left at the end.</summary>
    public double LastRate { get; init; } = 0.02;

    /// <summary>Largest joint norm of the gradients.</summary>
    public double MaxGradientNorm { get; init; } = 1.0;

    /// <summary>Decoupled weight decay of the hidden matrices, times their rate.</summary>
    public double MatrixDecay { get; init; } = 0.01;

    /// <summary>Pools of 1,024 documents between two checkpoints.</summary>
    public int SaveEveryPools { get; init; } = 12;

    /// <summary>Steps between probes.</summary>
    public int ProbeEvery { get; init; } = 400;

    /// <summary>Tokens of both stages.</summary>
    public long Tokens => FirstStage + SecondStage;

    /// <summary>Share of the highest learning rates after so many tokens.</summary>
    public double Rate(long tokens) => tokens < FirstStage
        ? Ramp((double)tokens / FirstStage, Decay)
        : SecondRate * Ramp((double)(tokens - FirstStage) / SecondStage, 1 - Warmup);

    /// <summary>What the base reads after so many tokens: short chains first, then deeper ones with longer checks.</summary>
    public Diet Diet(long tokens) => ((double)tokens / FirstStage) switch
    {
        < 0.10 => new(1, 2, [0.8, 0.2]),
        < 0.22 => new(1, 4, [0.7, 0.3]),
        < 0.70 => new(1, 8, [0.6, 0.25, 0.1, 0.05]),
        < 1 => new(1, 8, [0.4, 0.2, 0.2, 0.2]),
        _ => new(5, 8, [0.45, 0.2, 0.15, 0.2]),
    };

    private double Ramp(double done, double decay) => done < Warmup
        ? done / Warmup
        : done < 1 - decay ? 1 : LastRate + ((1 - LastRate) * Math.Max(0, 1 - done) / decay);
}
