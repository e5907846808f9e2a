using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace ModelSdk.Training;

/// <summary>What one run of <see cref="GrpoRecipe"/> needs besides weights, data and the adapter to start from.</summary>
public sealed record GrpoOptions
{
    /// <summary>The adapter's settings, as in the manifest; <see cref="AdapterSettings.Budget"/> must be set.</summary>
    public required AdapterSettings Adapter { get; init; }

    /// <summary>Seed of the order of questions, of budgets and of sampling. Same seed, same machine: same bytes.</summary>
    public required long Seed { get; init; }

    /// <summary>Folder of the checkpoint; a run that finds one goes on from there. Null: no checkpoints.</summary>
    public string? WorkFolder { get; init; }

    /// <summary>Type and device; null: <see cref="ComputeOptions.Fastest"/>.</summary>
    public ComputeOptions? Compute { get; init; }

    /// <summary>Most tokens of a micro-batch, padding included. Default 6144, as in fine-tuning.</summary>
    public int MicroBatchTokens { get; init; } = 6144;

    /// <summary>
    /// Steps in a row in which no group of samples differs in reward, at a mean reward below 0.5, before the run stops with an error.
    /// Default 10 (ours): nothing is learnt in such steps, and a task that is too hard or wrongly graded shows at once. Where nearly all
    /// samples get their full reward there is nothing left to learn, and the run goes on to its end.
    /// </summary>
    public int FlatStepsBeforeError { get; init; } = 10;
}

/// <summary>One step, measured before its update.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="Reward">Mean reward of all samples.</param>
/// <param name="Accuracy">Mean score of all samples, 0 to 1; one that was cut counts as wrong.</param>
/// <param name="MeanTokens">Mean tokens of a sample, its end token included.</param>
/// <param name="WithinBudget">Share of samples that ended within their stated budget; NaN where none was stated.</param>
/// <param name="Kl">Mean k3 estimate of the divergence from the reference, a token.</param>
/// <param name="Loss">Loss.</param>
/// <param name="GradientNorm">L2 norm of all gradients before clipping.</param>
/// <param name="ZeroDeviation">Share of the drawn groups whose samples all got one reward.</param>
/// <param name="Clipped">Share of trained tokens whose ratio was clipped.</param>
/// <param name="LogProbDisagreement">Mean |sampler - trainer| of the log-probability of a trained token, in nats.</param>
/// <param name="LearningRate">Learning rate of the step.</param>
/// <param name="RolloutTokensPerSecond">Sampled tokens per second of sampling.</param>
/// <param name="TrainingTokensPerSecond">Trained tokens per second of encoding prompts, reference, forward, backward and update.</param>
/// <param name="Drawn">Questions drawn since the first step.</param>
/// <param name="Updates">Updates of the weights since the first step; a step without differing rewards makes none.</param>
public sealed record GrpoStep(
    int Step,
    int Steps,
    double Reward,
    double Accuracy,
    double MeanTokens,
    double WithinBudget,
    double Kl,
    double Loss,
    double GradientNorm,
    double ZeroDeviation,
    double Clipped,
    double LogProbDisagreement,
    double LearningRate,
    double RolloutTokensPerSecond,
    double TrainingTokensPerSecond,
    long Drawn,
    long Updates)
{
    /// <summary>As numbers, for the checkpoint.</summary>
    internal double[] ToRow() =>
        [Step, Steps, Reward, Accuracy, MeanTokens, WithinBudget, Kl, Loss, GradientNorm, ZeroDeviation, Clipped, LogProbDisagreement, LearningRate, RolloutTokensPerSecond, TrainingTokensPerSecond, Drawn, Updates];

    /// <summary>From <see cref="ToRow"/>.</summary>
    internal static GrpoStep FromRow(double[] row) =>
        new((int)row[0], (int)row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12], row[13], row[14], (long)row[15], (long)row[16]);
}

/// <summary>What a run gives.</summary>
/// <param name="Adapter">The trained adapter.</param>
/// <param name="Steps">Each step.</param>
public sealed record GrpoResult(LoraAdapter Adapter, IReadOnlyList<GrpoStep> Steps);
