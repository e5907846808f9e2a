using ModelSdk.Onnx.Heads;

namespace ModelSdk.Training.Heads;

/// <summary>How a verifier is trained (paper 5).</summary>
public sealed record VerifierOptions
{
    /// <summary>
    /// False (paper 5): one linear layer on the answering adapter's hidden state. True (ours): a copy of the adapter's LoRA, active on the
    /// verification prompt's tokens only, is trained with it; all before them stays in the stream's own keys and values.
    /// </summary>
    public bool Lora { get; init; }

    /// <summary>
    /// True (ours): the linear layer also reads the least and the mean log probability of the answer's tokens. False (paper 5): the hidden
    /// state alone.
    /// </summary>
    public bool Confidence { get; init; }

    /// <summary>Share of the questions that is held out for the AUC and for choosing the best step. Default .1 (ours; the paper holds out 2.5% of far more questions).</summary>
    public double Holdout { get; init; } = 0.1;

    /// <summary>Updates. Default 300 (ours).</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Answers an update. Default 64 (ours).</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate; warm-up over a twentieth of the steps, then a cosine to 0. Default .001 (ours).</summary>
    public double LearningRate { get; init; } = 0.001;

    /// <summary>
    /// Added to the loss: this times the sum of the squared weights of the standardised hidden state. Default 1 (ours): the answers to one
    /// question share most of their hidden state, so that without it the head learns the questions by heart.
    /// </summary>
    public double Penalty { get; init; } = 1;

    /// <summary>Steps between two measurements on the held-out questions; the best is kept. Default 25 (ours).</summary>
    public int MeasureEverySteps { get; init; } = 25;

    /// <summary>Seed of the held-out choice and the order. Same seed, same machine: same bytes.</summary>
    public required long Seed { get; init; }

    /// <summary>Type and device; null: <see cref="ComputeOptions.Fastest"/>.</summary>
    public ComputeOptions? Compute { get; init; }

    /// <summary>Most memory for the answers' keys and values, in bytes. Default 3 GiB; above it each step encodes its own answers.</summary>
    public long CacheBytes { get; init; } = 3L << 30;
}

/// <summary>What a training gives.</summary>
/// <param name="Head">The head of the best step.</param>
/// <param name="Auc">Area under the ROC curve over all answers to the held-out questions.</param>
/// <param name="HeldOut">Held-out answers.</param>
/// <param name="Right">Share of right answers among all samples.</param>
/// <param name="Losses">Binary cross entropy of each step's batch, in nats.</param>
/// <param name="HeldOutLosses">The same on the held-out answers, at each measurement.</param>
public sealed record VerifierResult(VerifierHead Head, double Auc, int HeldOut, double Right, IReadOnlyList<double> Losses, IReadOnlyList<double> HeldOutLosses);
