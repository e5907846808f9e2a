using ModelSdk.Manifest;
using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training.Heads;

/// <summary>Trains the switcher: which mode should answer, read from the base's hidden states of the prompt (paper 3).</summary>
public static class SwitcherTrainer
{
    /// <summary>Encodes the prompts by the base and trains the head on them.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Weights of the base by Hugging Face name; dequantized ones, so that the head fits what is shipped (paper 6).</param>
    /// <param name="data">Prompts and modes.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told after each step, on this thread.</param>
    /// <param name="cancellation">Checked after each step.</param>
    /// <exception cref="TrainingException">MDL3001 no torch; MDL3012 a mode without enough prompts; MDL3021 the loss is not finite.</exception>
    public static SwitcherResult Run(TransformerConfig config, Func<string, float[]> read, SwitcherData data, SwitcherOptions options, IProgress<HeadProgress>? progress = null, CancellationToken cancellation = default)
    {
        using var model = Transformer.Load(config, read, trainable: false, options.Compute ?? ComputeOptions.Full);
        var pooled = PromptPooling.Pool(model, [.. data.Examples.Select(e => e.Prompt)], options.Chunk, options.Smoothing, cancellation);
        return Train(pooled, [.. data.Examples.Select(e => e.Mode)], data.Modes, options, progress, cancellation);
    }

    /// <summary>Trains the head on pooled vectors.</summary>
    /// <param name="pooled">[prompts][D], from <see cref="PromptPooling.Pool"/>.</param>
    /// <param name="modes">Right mode of each.</param>
    /// <param name="names">Names of the modes, the base first.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told after each step, on this thread.</param>
    /// <param name="cancellation">Checked after each step.</param>
    public static SwitcherResult Train(IReadOnlyList<float[]> pooled, IReadOnlyList<int> modes, IReadOnlyList<string> names, SwitcherOptions options, IProgress<HeadProgress>? progress = null, CancellationToken cancellation = default)
    {
        TorchLibrary.EnsureLoaded();
        var (training, held) = Split(modes, names, options.Seed);
        var scale = FeatureScale.Of([.. training.Select(i => pooled[i])]);
        int features = pooled[0].Length, count = names.Count;

        using var generator = new Generator((ulong)options.Seed);
        using var outer = NewDisposeScope();
        var x = tensor(scale.Apply(training.Select(i => pooled[i])), [training.Length, features]);
        var y = tensor(training.Select(i => (long)modes[i]).ToArray());
        Tensor Uniform(double bound, params long[] shape)
        {
            var value = rand(shape, generator: generator).mul_(2 * bound).sub_(bound);
            value.requires_grad = true;
            return value;
        }

        // As torch.nn.Linear: uniform within 1/sqrt(in).
        double first = 1 / Math.Sqrt(features), second = 1 / Math.Sqrt(options.Hidden);
        Tensor w1 = Uniform(first, options.Hidden, features), b1 = Uniform(first, options.Hidden), w2 = Uniform(second, count, options.Hidden), b2 = Uniform(second, count);
        using var optimizer = new AdamW([w1, b1, w2, b2], weightDecay: options.WeightDecay);
        var order = SftSchedule.Order(training.Length, Math.Min(options.BatchSize, training.Length), options.Steps, options.Seed);
        var losses = new List<double>(options.Steps);
        for (var step = 0; step < options.Steps; step++)
        {
            using var scope = NewDisposeScope();
            var rows = tensor(order[step].Select(r => (long)r).ToArray());
            var seen = x.index_select(0, rows) + (randn([rows.shape[0], features], generator: generator) * options.Noise);
            var kept = rand([rows.shape[0], options.Hidden], generator: generator).ge(options.Dropout).to_type(ScalarType.Float32) / (1 - options.Dropout);
            var loss = nn.functional.cross_entropy(nn.functional.linear(nn.functional.relu(nn.functional.linear(seen, w1, b1)) * kept, w2, b2), y.index_select(0, rows));
            loss.backward();
            losses.Add(loss.item<float>());
            if (!double.IsFinite(losses[^1]))
            {
                throw new TrainingException(DiagnosticCodes.LossNotFinite, $"The switcher's loss is not finite at step {step + 1} of {options.Steps}. Lower the learning rate ({options.LearningRate}).");
            }

            optimizer.Step(HeadSchedule.LearningRate(step, options.Steps, options.LearningRate));
            progress?.Report(new HeadProgress(step + 1, options.Steps, losses[^1]));
            cancellation.ThrowIfCancellationRequested();
        }

        var (weight, bias) = scale.Fold(Transformer.Values(w1), Transformer.Values(b1));
        var head = new SwitcherHead(weight, bias, Transformer.Values(w2), Transformer.Values(b2));
        var logits = held.Select(i => head.Logits(pooled[i])).ToArray();
        return new SwitcherResult(
            head,
            AreaUnderCurve.Of([.. logits.Select(Score)], [.. held.Select(i => modes[i] != 0)]),
            held.Zip(logits).Count(p => modes[p.First] == Array.IndexOf(p.Second, p.Second.Max())) / (double)held.Length,
            held.Length,
            losses);
    }

    /// <summary>Probability that a prompt should not be answered by the base, 1 - softmax(logits)[0]: what a threshold is compared with.</summary>
    /// <param name="logits">One a mode, the base first.</param>
    public static double Score(IReadOnlyList<double> logits)
    {
        var others = logits.Skip(1).Sum(l => Math.Exp(l - logits[0]));
        return double.IsInfinity(others) ? 1 : others / (1 + others);
    }

    /// <summary>A fifth of each mode's prompts is held out.</summary>
    private static (int[] Training, int[] Held) Split(IReadOnlyList<int> modes, IReadOnlyList<string> names, long seed)
    {
        List<int> training = [], held = [];
        for (var mode = 0; mode < names.Count; mode++)
        {
            var mine = Enumerable.Range(0, modes.Count).Where(i => modes[i] == mode).ToArray();
            if (mine.Length < 5)
            {
                throw new TrainingException(DiagnosticCodes.DataEmpty, $"The switcher's data holds {mine.Length} prompts for the mode '{names[mode]}'; it needs at least 5, of which a fifth is held out. Add lines with \"mode\": \"{names[mode]}\".");
            }

            var shuffled = SftSchedule.Order(mine.Length, mine.Length, 1, unchecked(seed + mode))[0];
            held.AddRange(shuffled.Take(mine.Length / 5).Select(i => mine[i]));
            training.AddRange(shuffled.Skip(mine.Length / 5).Select(i => mine[i]));
        }

        return ([.. training.Order()], [.. held.Order()]);
    }
}
