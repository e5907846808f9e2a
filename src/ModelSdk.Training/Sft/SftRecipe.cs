using System.Diagnostics;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>
/// Supervised fine-tuning of one LoRA adapter on a frozen base (paper 2): AdamW, cosine schedule with warm-up, loss on response tokens
/// only; masked by default, so that prompts are encoded once by the base and only responses run forward and backward.
/// </summary>
public static class SftRecipe
{
    /// <summary>Trains, or goes on from the checkpoint in the work folder.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Weights of the base by Hugging Face name; dequantized ones, so that the adapter fits what is shipped (paper 6).</param>
    /// <param name="data">Examples.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told after each step, on this thread.</param>
    /// <param name="cancellation">Checked after each step: a checkpoint is written first.</param>
    /// <returns>Adapter and losses.</returns>
    /// <exception cref="TrainingException">MDL3001 no torch; MDL3020 settings; MDL3021 the loss is not finite (the last checkpoint stays); MDL3022 the checkpoint.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; run again to go on.</exception>
    public static SftResult Run(TransformerConfig config, Func<string, float[]> read, SftDataset data, SftOptions options, IProgress<SftProgress>? progress = null, CancellationToken cancellation = default)
    {
        var (adapter, sft) = (options.Adapter, options.Adapter.Sft);
        using var model = Transformer.Load(config, read, trainable: false, options.Compute);
        using var lora = LoraModule.Create(model, adapter.Rank, adapter.Alpha, adapter.Dropout, adapter.Targets, options.Seed);
        var parameters = lora.Parameters;
        using var optimizer = new AdamW(parameters, weightDecay: sft.WeightDecay);

        // 1. What each step sees. Rows are what runs with the adapter on; with the mask off that is the prompt, too.
        var steps = SftSchedule.Steps(sft, data.Examples.Count);
        var order = SftSchedule.Order(data.Examples.Count, sft.BatchSize, steps, options.Seed);
        var (prompts, promptOf) = DistinctPrompts(data, adapter.Masked);
        using var cache = new PromptCache(model, prompts, [.. order.Select(batch => batch.Select(e => promptOf[e]).ToArray())], options.PromptCacheBytes);
        int[] Row(int e) => adapter.Masked
            ? [.. data.GenerationPrompt, .. data.Examples[e].Response]
            : [.. data.Examples[e].Prompt, .. data.GenerationPrompt, .. data.Examples[e].Response];

        // 2. Where an earlier run stopped.
        IReadOnlyList<Tensor> state = [.. parameters, .. optimizer.State];
        var checkpoint = options.WorkFolder is null ? null : new TrainingCheckpoint(options.WorkFolder, "sft", RunFingerprint.Of(config, data, options, model.Compute));
        var losses = checkpoint?.Read(state).Select(s => s[0]).ToList() ?? [];
        optimizer.Steps = losses.Count;

        // 3. Train.
        for (var step = losses.Count; step < steps; step++)
        {
            var started = Stopwatch.GetTimestamp();
            using var scope = NewDisposeScope();
            if (adapter.Dropout > 0)
            {
                random.manual_seed(unchecked((options.Seed * 1_000_003) + step)); // dropout draws from the one generator of the process
            }

            var batch = order[step];
            var (encodedBefore, flopsBefore) = (cache.EncodedTokens, cache.EncodedFlops);
            var keysAndValues = cache.Prepare(step, [.. batch.Select(e => promptOf[e])]);
            var trained = batch.Sum(e => (double)data.Examples[e].Response.Length);
            double loss = 0, seen = 0, flops = cache.EncodedFlops - flopsBefore;
            var most = Math.Min(options.MicroBatchTokens, model.TokensInMemory(batch.Max(e => Row(e).Length), batch.Max(e => prompts[promptOf[e]].Length)));
            var split = MicroBatches.Split(batch, e => Row(e).Length, most);
            if (model.PacksRows)
            {
                split.Reverse(); // The longest first: later tensors then fit where earlier ones were, and memory does not grow from part to part.
            }

            foreach (var examples in split)
            {
                using var inner = NewDisposeScope();
                int[][] rows = [.. examples.Select(Row)];
                int[] lossFrom = [.. examples.Select((e, i) => rows[i].Length - data.Examples[e].Response.Length)];
                var part = MaskedForward.Loss(model, lora.ComputeWeights(), rows, lossFrom, [.. examples.Select(e => keysAndValues[promptOf[e]])], trained);
                part.backward();
                loss += part.item<float>();
                seen += rows.Sum(r => r.Length - 1);
                flops += examples.Sum(e => TrainingFlops.Train(config, adapter, prompts[promptOf[e]].Length, Row(e).Length - 1, data.Examples[e].Response.Length));
            }

            var norm = GradientClipping.Clip(parameters, sft.MaxGradNorm);
            if (!double.IsFinite(loss) || !double.IsFinite(norm))
            {
                throw new TrainingException(
                    DiagnosticCodes.LossNotFinite,
                    $"Training stopped at step {step + 1} of {steps}: the loss is {loss}, the gradient norm {norm}. The last checkpoint is kept. Lower learningRate (now {sft.LearningRate}) or check the data.");
            }

            var rate = SftSchedule.LearningRate(step, steps, sft);
            optimizer.Step(rate);
            losses.Add(loss);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            progress?.Report(new SftProgress(step + 1, steps, loss, norm, rate, seen / seconds, cache.EncodedTokens - encodedBefore, seconds, flops));

            // 4. Keep what was learnt.
            var last = step + 1 == steps;
            if (!last && (cancellation.IsCancellationRequested || (step + 1) % sft.CheckpointEverySteps == 0))
            {
                checkpoint?.Write(state, [.. losses.Select(l => (double[])[l])]);
                cancellation.ThrowIfCancellationRequested();
            }
        }

        return new SftResult(lora.ToAdapter(adapter.Masked ? data.GenerationPrompt : []), losses);
    }

    /// <summary>Prompts that occur, each once, and the prompt of each example; without the mask all share the empty one.</summary>
    private static (List<int[]> Prompts, int[] PromptOf) DistinctPrompts(SftDataset data, bool masked)
    {
        if (!masked)
        {
            return ([[]], new int[data.Examples.Count]);
        }

        var prompts = new List<int[]>();
        var known = new Dictionary<string, int>(StringComparer.Ordinal);
        var promptOf = data.Examples.Select(e =>
        {
            var key = string.Join(' ', e.Prompt);
            if (!known.TryGetValue(key, out var index))
            {
                known[key] = index = prompts.Count;
                prompts.Add(e.Prompt);
            }

            return index;
        }).ToArray();
        return (prompts, promptOf);
    }
}
