namespace ModelSdk.Manifest;

/// <summary>
/// The verifier of one adapter: a linear layer on the last hidden state after a verification prompt, which gives the
/// probability that an answer is right and weighs votes (paper 5). Trained on the adapter's own samples.
/// </summary>
public sealed record VerifierSettings
{
    /// <summary>The default of <see cref="Prompt"/>.</summary>
    public const string DefaultPrompt = "<|im_end|>\n<|im_start|>user\nIs this answer right?<|im_end|>\n<|im_start|>assistant\n";

    /// <summary>
    /// Questions: JSONL with <c>messages</c> and <c>answer</c>, relative to the manifest's folder. Default null: those of
    /// budget forcing, else the adapter's training data.
    /// </summary>
    public string? Data { get; init; }

    /// <summary>Questions that are sampled, from 2; at most those of the data. Default 400 (ours).</summary>
    public int Questions { get; init; } = 400;

    /// <summary>Samples a training question, 1 to 1024. Default 16 (paper 5).</summary>
    public int Samples { get; init; } = 16;

    /// <summary>Sampling temperature, above 0. Default 0.7, that of parallel reasoning (paper 5).</summary>
    public double Temperature { get; init; } = 0.7;

    /// <summary>Share of the questions that is held out to measure the verifier, with 4 samples each; above 0 and below 1. Default 0.025 (paper 5).</summary>
    public double Holdout { get; init; } = 0.025;

    /// <summary>The text that follows an answer, as it stands in the chat template; the verifier reads the hidden state of its last token (paper 5; wording ours).</summary>
    public string Prompt { get; init; } = DefaultPrompt;

    /// <summary>
    /// Whether a copy of the adapter's LoRA, active on the verification prompt only, is trained with the linear layer
    /// (ours). Default false: the linear layer alone, on the adapter's hidden states (paper 5).
    /// </summary>
    public bool Lora { get; init; }

    /// <summary>
    /// Whether the linear layer also reads how sure the adapter was of its own tokens: the least and the mean log
    /// probability of the answer's tokens at temperature 1 (ours; costs nothing). Default false: the hidden state alone
    /// (paper 5).
    /// </summary>
    public bool Confidence { get; init; }

    /// <summary>Optimizer steps, from 1. Default 300 (ours).</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Samples a step, from 1. Default 64 (ours).</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Peak learning rate of AdamW, above 0 to 1. Default 1e-3 (ours).</summary>
    public double LearningRate { get; init; } = 1e-3;
}
