namespace ModelSdk.Manifest;

/// <summary>
/// The switcher: a small head on the base's hidden states of the prompt that chooses the mode which answers (paper 3).
/// One output for the base and one for each adapter; the paper has two.
/// </summary>
public sealed record SwitcherSettings
{
    /// <summary>Prompts: JSONL with <c>messages</c> and <c>mode</c> (<c>base</c> or an adapter's name), relative to the manifest's folder. Required.</summary>
    public string Train { get; init; } = "";

    /// <summary>Units of the hidden layer, 1 to 4096. Default 8 (paper 3).</summary>
    public int Hidden { get; init; } = 8;

    /// <summary>Share of the hidden units that is dropped in training, 0 up to but not 1. Default 0.2 (paper 3).</summary>
    public double Dropout { get; init; } = 0.2;

    /// <summary>Deviation of the normal noise on the pooled hidden state in training, 0 to 100. Default 0.5 (paper 3).</summary>
    public double Noise { get; init; } = 0.5;

    /// <summary>Tokens of one chunk, whose mean hidden state enters the running average, from 1. Default 128 (paper 3).</summary>
    public int Chunk { get; init; } = 128;

    /// <summary>Weight of the newest chunk in the running average, above 0 to 1. Default 0.5 (paper 3).</summary>
    public double Smoothing { get; init; } = 0.5;

    /// <summary>Optimizer steps, from 1. Default 600 (ours).</summary>
    public int Steps { get; init; } = 600;

    /// <summary>Prompts a step, from 1. Default 64 (ours).</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate of AdamW, above 0 to 1. Default 3e-3 (ours).</summary>
    public double LearningRate { get; init; } = 3e-3;

    /// <summary>Weight decay of AdamW, 0 to 1. Default 0 (ours).</summary>
    public double WeightDecay { get; init; }

    /// <summary>
    /// The base answers when the probability of all adapters together is below this, 0 to 1. Default 0.5; lower reasons
    /// more often (paper 3 reports the curve). A call can give another.
    /// </summary>
    public double Threshold { get; init; } = 0.5;
}
