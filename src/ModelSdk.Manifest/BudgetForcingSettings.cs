namespace ModelSdk.Manifest;

/// <summary>
/// Budget forcing of one adapter: reinforcement learning (GRPO) that makes its reasoning short, after supervised
/// fine-tuning (paper 4). The reward of an answer is whether it is right (0 or 1) times a soft barrier on its length.
/// </summary>
public sealed record BudgetForcingSettings
{
    /// <summary>Questions: JSONL with <c>messages</c> and <c>answer</c>, relative to the manifest's folder. Default null: the adapter's training data, whose last assistant turn is not used.</summary>
    public string? Data { get; init; }

    /// <summary>Optimizer steps, from 1. Default 200 (paper 4).</summary>
    public int Steps { get; init; } = 200;

    /// <summary>Questions a step, from 1. Default 32: with 8 samples each it is the paper's global batch of 256 (paper 4).</summary>
    public int Prompts { get; init; } = 32;

    /// <summary>Samples a question, from 2: advantages compare the samples of one question. Default 8 (paper 4).</summary>
    public int Samples { get; init; } = 8;

    /// <summary>Sampling temperature, above 0; log-probabilities are of logits divided by it. Default 0.8 (paper 4).</summary>
    public double Temperature { get; init; } = 0.8;

    /// <summary>Peak learning rate of AdamW, above 0 to 1; cosine to 0. Default 2e-5 (paper 4); small bases want more.</summary>
    public double LearningRate { get; init; } = 2e-5;

    /// <summary>Share of the steps in which the rate rises from 0, 0 to 1. Default 0.05 (paper 4).</summary>
    public double Warmup { get; init; } = 0.05;

    /// <summary>Gradients are scaled down to this norm, above 0. Default 1.0 (paper 4).</summary>
    public double MaxGradNorm { get; init; } = 1.0;

    /// <summary>Weight decay of AdamW, 0 to 1. Default 0, as in fine-tuning (paper 2).</summary>
    public double WeightDecay { get; init; }

    /// <summary>
    /// The budgets, in tokens, one of which is drawn for each question. Required: they depend on the task. The paper's
    /// are 1000, 3000, 4000 and 6000 (paper 4). Each is at most <see cref="MaxTokens"/>.
    /// </summary>
    public EquatableArray<int> Budgets { get; init; }

    /// <summary>
    /// Share of the questions that get a budget, stated in the prompt and rewarded, 0 to 1; the others are rewarded for
    /// being right alone. Default 1.0 (paper 4: every prompt has one). Less keeps accuracy without a stated budget (ours).
    /// </summary>
    public double StatedShare { get; init; } = 1.0;

    /// <summary>
    /// Half width m of the soft barrier, as a share of the budget B, 0 to 1: full reward up to (1 - m) B, none from
    /// (1 + m) B on, linear between (paper 4 gives the form). Default 0.25 (ours; the paper gives no value).
    /// </summary>
    public double Margin { get; init; } = 0.25;

    /// <summary>What remains of the reward beyond the barrier (p), 0 up to but not 1. Default 0 (paper 4).</summary>
    public double Floor { get; init; }

    /// <summary>The tokens that are counted. Default all; counting the reasoning alone invites the reward hack that the paper describes (paper 4).</summary>
    public CountedLength Length { get; init; } = CountedLength.Total;

    /// <summary>Weight of the KL divergence from the reference, 0 to 1000; estimator k3. Default 1e-3 (paper 4: 1e-3 or 1e-4).</summary>
    public double Kl { get; init; } = 1e-3;

    /// <summary>The reference of the KL divergence. Default: the adapter as fine-tuning left it (ours; paper 4's library used the base).</summary>
    public KlReference KlReference { get; init; } = KlReference.Sft;

    /// <summary>The ratio of probabilities is clipped below at 1 - clip, above 0 to 1. Default 0.2 (GRPO).</summary>
    public double Clip { get; init; } = 0.2;

    /// <summary>The ratio is clipped above at 1 + this, above 0 to 10. Default null: as <see cref="Clip"/>; DAPO uses 0.28, which keeps exploring.</summary>
    public double? ClipHigh { get; init; }

    /// <summary>What a reward's distance from its group's mean is divided by. Default the group's deviation (paper 4).</summary>
    public AdvantageScale Advantage { get; init; } = AdvantageScale.Group;

    /// <summary>Whether new questions are drawn in place of those whose samples all have the same reward (DLER). Default false: they are dropped (paper 4).</summary>
    public bool Resample { get; init; }

    /// <summary>
    /// Budgets are multiplied by a factor that falls linearly from 1 at the first step to this at the last, above 0 to
    /// 1 (ThinkPrune). Default 1.0: they stay (paper 4).
    /// </summary>
    public double Tighten { get; init; } = 1.0;

    /// <summary>What becomes of a completion that reached <see cref="MaxTokens"/> without an end. Default: no reward (ours).</summary>
    public TruncatedCompletions Truncated { get; init; } = TruncatedCompletions.Zero;

    /// <summary>Most tokens of one completion, from 1; must fit the context. Default 512 (ours; the paper uses 6144 for its longer traces).</summary>
    public int MaxTokens { get; init; } = 512;

    /// <summary>Steps between checkpoints, from 1. Default 5 (ours): a step takes seconds, and a killed build loses at most that many.</summary>
    public int CheckpointEverySteps { get; init; } = 5;
}
