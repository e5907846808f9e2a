using ModelSdk.Onnx.Heads;

namespace ModelSdk.Training.Heads;

/// <summary>How a switcher is trained (paper 3); the properties up to <see cref="WeightDecay"/> are the manifest's.</summary>
public sealed record SwitcherOptions
{
    /// <summary>Units of the hidden layer. Default 8 (paper 3).</summary>
    public int Hidden { get; init; } = 8;

    /// <summary>Share of the hidden units dropped while training. Default 0.2 (paper 3).</summary>
    public double Dropout { get; init; } = 0.2;

    /// <summary>
    /// Deviation of the noise that is added to the pooled vector while training, against quantization artefacts. Default 0.5 (paper 3),
    /// here in units of each feature's own deviation over the training prompts: hidden states of other bases have other scales.
    /// </summary>
    public double Noise { get; init; } = 0.5;

    /// <summary>Tokens in a chunk of the pooling. Default 128 (paper 3).</summary>
    public int Chunk { get; init; } = 128;

    /// <summary>Share of a new chunk in the running average. Default 0.5 (paper 3).</summary>
    public double Smoothing { get; init; } = 0.5;

    /// <summary>Updates. Default 600 (ours): about 20 passes over 2,000 prompts.</summary>
    public int Steps { get; init; } = 600;

    /// <summary>Prompts an update. Default 64 (ours).</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate; warm-up over a twentieth of the steps, then a cosine to 0. Default .003 (ours).</summary>
    public double LearningRate { get; init; } = 0.003;

    /// <summary>Decoupled weight decay. Default 0 (ours).</summary>
    public double WeightDecay { get; init; }

    /// <summary>Seed of first weights, held-out choice, order, noise and dropout. Same seed, same machine: same bytes.</summary>
    public required long Seed { get; init; }

    /// <summary>Type and device of the base; null: fp32, what is deployed.</summary>
    public ComputeOptions? Compute { get; init; }
}

/// <summary>What a training gives.</summary>
/// <param name="Head">The head.</param>
/// <param name="Auc">Area under the ROC curve on the held-out fifth: 1 - P(base) against "not the base".</param>
/// <param name="Accuracy">Share of the held-out prompts whose most likely mode is the right one.</param>
/// <param name="HeldOut">Held-out prompts.</param>
/// <param name="Losses">Cross entropy of each step's batch, in nats.</param>
public sealed record SwitcherResult(SwitcherHead Head, double Auc, double Accuracy, int HeldOut, IReadOnlyList<double> Losses);

/// <summary>State after one step of a head's training.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="Loss">Cross entropy of the step's batch, in nats, before the update.</param>
public sealed record HeadProgress(int Step, int Steps, double Loss);
