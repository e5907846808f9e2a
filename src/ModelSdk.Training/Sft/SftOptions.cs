using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace ModelSdk.Training;

/// <summary>What one run of <see cref="SftRecipe"/> needs besides weights and data.</summary>
public sealed record SftOptions
{
    /// <summary>LoRA and schedule, as in the manifest.</summary>
    public required AdapterSettings Adapter { get; init; }

    /// <summary>Seed of the first weights, the order of examples and dropout. Same seed, same machine: same bytes.</summary>
    public required long Seed { get; init; }

    /// <summary>Folder of the checkpoint; a run that finds one goes on from there. Null: no checkpoints.</summary>
    public string? WorkFolder { get; init; }

    /// <summary>Type and device; null: <see cref="ComputeOptions.Fastest"/>.</summary>
    public ComputeOptions? Compute { get; init; }

    /// <summary>
    /// Most tokens of a micro-batch, padding included. Default 6144: large enough to compute fast, small enough for the caches. A model whose
    /// activations would not fit 2.5 GiB then takes fewer.
    /// </summary>
    public int MicroBatchTokens { get; init; } = 6144;

    /// <summary>Most memory for keys and values of prompts that are used again, in bytes. Default 1 GiB; above it each step encodes its own prompts.</summary>
    public long PromptCacheBytes { get; init; } = 1L << 30;
}

/// <summary>State after one step.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="Loss">Mean cross entropy of the step's response tokens, in nats, before the update.</param>
/// <param name="GradientNorm">L2 norm of all gradients before clipping.</param>
/// <param name="LearningRate">Learning rate of the step.</param>
/// <param name="TokensPerSecond">Tokens read with the adapter on, padding aside, per second of this step; prompt encoding is inside the time.</param>
/// <param name="PromptTokens">Tokens of prompts that the base encoded in this step.</param>
/// <param name="Seconds">Time of the step.</param>
/// <param name="Flops">Floating point operations that the step needs, see <see cref="TrainingFlops"/>; padding and what runs twice are not counted.</param>
public sealed record SftProgress(int Step, int Steps, double Loss, double GradientNorm, double LearningRate, double TokensPerSecond, long PromptTokens, double Seconds, double Flops);

/// <summary>What a run gives.</summary>
/// <param name="Adapter">The trained adapter.</param>
/// <param name="Losses">Loss of each step.</param>
public sealed record SftResult(LoraAdapter Adapter, IReadOnlyList<double> Losses);
