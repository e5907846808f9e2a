using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training.Heads;

/// <summary>Trains the verifier of one adapter: P(answer is right), read behind the answer (paper 5).</summary>
public static class VerifierTrainer
{
    private const int RowsAtOnce = 256;

    /// <summary>Trains on sampled answers and keeps the state that does best on the held-out questions.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Weights of the base by Hugging Face name; dequantized ones, so that the head fits what is shipped (paper 6).</param>
    /// <param name="adapter">The adapter that gave the answers, in its deployed form.</param>
    /// <param name="data">Questions and answers.</param>
    /// <param name="options">Settings.</param>
    /// <param name="progress">Told after each step, on this thread.</param>
    /// <param name="cancellation">Checked after each step.</param>
    /// <exception cref="TrainingException">MDL3001 no torch; MDL3012 no question for one of the two parts, or only right or only wrong answers in one; MDL3021 the loss is not finite.</exception>
    public static VerifierResult Run(TransformerConfig config, Func<string, float[]> read, LoraAdapter adapter, VerifierData data, VerifierOptions options, IProgress<HeadProgress>? progress = null, CancellationToken cancellation = default)
    {
        // 1. Parts. Answers are numbered over all questions; a question lies in one part only.
        var answers = data.Questions.SelectMany((q, i) => q.Samples.Select(s => (Question: i, s.Right))).ToArray();
        float[][] own = [.. data.Questions.SelectMany(q => q.Samples).Select(s => options.Confidence ? (float[])[(float)s.Confidence.Least, (float)s.Confidence.Mean] : [])];
        var width = config.HiddenSize + own[0].Length;
        var (training, held) = Split(answers, data.Questions.Count, options);

        // 2. What stays as it is: keys and values of the answers.
        using var model = Transformer.Load(config, read, trainable: false, options.Compute);
        using var outer = NewDisposeScope();
        using var answering = LoraModule.From(model, adapter);
        LayerWeights[] weights;
        using (no_grad())
        {
            weights = answering.ComputeWeights();
        }

        using var streams = new StreamCache(model, weights, data, options.CacheBytes, cancellation);

        // 3. What is trained. The head starts at 0 over standardised features, so that the first logits are those of chance.
        using var checking = options.Lora ? LoraModule.From(model, adapter with { Dropout = 0 }, trainable: true) : null;
        int[] prompt = [.. data.VerificationPrompt];
        Tensor Features(IReadOnlyList<int> which, LayerWeights[] current)
        {
            var hidden = MaskedForward.Hidden(model, current, [.. which.Select(_ => prompt)], streams.Get(which));
            var last = model.FinalNorm(hidden.select(1, prompt.Length - 1)).to_type(ScalarType.Float32);           // [B, D]
            return options.Confidence ? cat([last, tensor([.. which.SelectMany(i => own[i])], [which.Count, 2])], 1) : last;
        }

        float[][] Measured(IReadOnlyList<int> which)
        {
            using var gradients = no_grad();
            var current = checking?.ComputeWeights() ?? weights;
            var rows = new List<float[]>(which.Count);
            foreach (var chunk in which.Chunk(RowsAtOnce))
            {
                using var scope = NewDisposeScope();
                cancellation.ThrowIfCancellationRequested();
                rows.AddRange(Transformer.Values(Features(chunk, current)).Chunk(width));
            }

            return [.. rows];
        }

        float[][] constant;
        using (NewDisposeScope())
        {
            constant = options.Lora ? Measured([.. training.Take(4 * RowsAtOnce)]) : Measured([.. Enumerable.Range(0, answers.Length)]);
        }

        var scale = FeatureScale.Of(options.Lora ? constant : [.. training.Select(i => constant[i])]);
        Tensor mean = tensor([.. scale.Mean.Select(m => (float)m)]), inverse = tensor([.. scale.Deviation.Select(d => (float)(1 / d))]);
        var w = zeros([1, width], requires_grad: true);
        var share = training.Average(i => answers[i].Right ? 1.0 : 0.0);
        var b = tensor([(float)Math.Log(share / (1 - share))], requires_grad: true);
        Tensor[] parameters = [w, b, .. checking?.Parameters ?? []];
        using var optimizer = new AdamW(parameters);

        // 4. Train.
        var order = SftSchedule.Order(training.Length, Math.Min(options.BatchSize, training.Length), options.Steps, options.Seed);
        List<double> losses = [], heldLosses = [];
        VerifierHead? best = null;
        double bestLoss = double.PositiveInfinity, bestAuc = double.NaN;
        for (var step = 0; step < options.Steps; step++)
        {
            using var scope = NewDisposeScope();
            int[] batch = [.. order[step].Select(i => training[i])];
            var features = options.Lora
                ? Features(batch, checking!.ComputeWeights())
                : tensor([.. batch.SelectMany(i => constant[i])], [batch.Length, width]);
            var logits = nn.functional.linear((features - mean) * inverse, w, b).view(-1);
            var loss = nn.functional.binary_cross_entropy_with_logits(logits, tensor([.. batch.Select(i => answers[i].Right ? 1f : 0f)]));
            (loss + (w.narrow(1, 0, config.HiddenSize).square().sum() * options.Penalty)).backward();
            losses.Add(loss.item<float>());
            var norm = GradientClipping.Clip(parameters, 1);
            if (!double.IsFinite(losses[^1]) || !double.IsFinite(norm))
            {
                throw new TrainingException(DiagnosticCodes.LossNotFinite, $"The verifier's loss is not finite at step {step + 1} of {options.Steps}. Lower the learning rate ({options.LearningRate}).");
            }

            optimizer.Step(HeadSchedule.LearningRate(step, options.Steps, options.LearningRate));
            progress?.Report(new HeadProgress(step + 1, options.Steps, losses[^1]));
            cancellation.ThrowIfCancellationRequested();
            if ((step + 1) % options.MeasureEverySteps == 0 || step + 1 == options.Steps)
            {
                Measure();
            }
        }

        return new VerifierResult(best!, bestAuc, held.Length, answers.Average(a => a.Right ? 1.0 : 0.0), losses, heldLosses);

        void Measure()
        {
            var (weight, bias) = scale.Fold(Transformer.Values(w), Transformer.Values(b));
            var head = new VerifierHead(
                weight[..config.HiddenSize],
                bias[0],
                checking is null ? null : checking.ToAdapter(adapter.InvocationTokens) with { BaseModel = adapter.BaseModel },
                options.Confidence ? new BundleConfidence(weight[^2], weight[^1]) : null);
            var features = options.Lora ? Measured(held) : [.. held.Select(i => constant[i])];
            var logits = features.Select(f => Logit(head, f)).ToArray();
            var loss = held.Zip(logits).Average(p => Math.Max(p.Second, 0) - (answers[p.First].Right ? p.Second : 0) + Math.Log(1 + Math.Exp(-Math.Abs(p.Second))));
            heldLosses.Add(loss);
            if (loss < bestLoss)
            {
                (best, bestLoss, bestAuc) = (head, loss, AreaUnderCurve.Of(logits, [.. held.Select(i => answers[i].Right)]));
            }
        }
    }

    /// <summary>A head's logits of P(right).</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Weights of the base by Hugging Face name.</param>
    /// <param name="adapter">The adapter that gave the answers.</param>
    /// <param name="data">Questions and answers.</param>
    /// <param name="head">The head.</param>
    /// <param name="compute">Type and device; null: <see cref="ComputeOptions.Fastest"/>.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>One for each answer, question by question.</returns>
    public static double[] Score(TransformerConfig config, Func<string, float[]> read, LoraAdapter adapter, VerifierData data, VerifierHead head, ComputeOptions? compute = null, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        using var outer = NewDisposeScope();
        using var model = Transformer.Load(config, read, trainable: false, compute);
        using var answering = LoraModule.From(model, adapter);
        using var checking = LoraModule.From(model, head.Lora ?? adapter);
        using var streams = new StreamCache(model, answering.ComputeWeights(), data, limitBytes: 0, cancellation);
        var weights = checking.ComputeWeights();
        int[] prompt = [.. data.VerificationPrompt];
        VerifierSample[] samples = [.. data.Questions.SelectMany(q => q.Samples)];
        var logits = new List<double>();
        foreach (var chunk in Enumerable.Range(0, data.Questions.Sum(q => q.Samples.Count)).Chunk(RowsAtOnce))
        {
            using var scope = NewDisposeScope();
            cancellation.ThrowIfCancellationRequested();
            var hidden = model.FinalNorm(MaskedForward.Hidden(model, weights, [.. chunk.Select(_ => prompt)], streams.Get(chunk)).select(1, prompt.Length - 1));
            logits.AddRange(Transformer.Values(hidden).Chunk(config.HiddenSize).Select((f, i) => Logit(head, f) + (head.Confidence?.Logit(samples[chunk[i]].Confidence) ?? 0)));
        }

        return [.. logits];
    }

    private static double Logit(VerifierHead head, float[] features)
    {
        double sum = head.Bias;
        for (var i = 0; i < head.W.Length; i++)
        {
            sum += (double)head.W[i] * features[i];
        }

        return head.Confidence is null || features.Length == head.W.Length ? sum : sum + (head.Confidence.Least * features[^2]) + (head.Confidence.Mean * features[^1]);
    }

    private static (int[] Training, int[] Held) Split((int Question, bool Right)[] answers, int questions, VerifierOptions options)
    {
        var heldCount = Math.Clamp((int)Math.Round(options.Holdout * questions), 1, Math.Max(1, questions - 1));
        var heldQuestions = questions == 0 ? [] : SftSchedule.Order(questions, questions, 1, options.Seed)[0].Take(heldCount).ToHashSet();
        int[] training = [.. Enumerable.Range(0, answers.Length).Where(i => !heldQuestions.Contains(answers[i].Question))];
        int[] held = [.. Enumerable.Range(0, answers.Length).Where(i => heldQuestions.Contains(answers[i].Question))];
        foreach (var (part, name) in ((int[], string)[])[(training, "training"), (held, "held-out")])
        {
            var right = part.Count(i => answers[i].Right);
            if (right == 0 || right == part.Length)
            {
                throw new TrainingException(
                    DiagnosticCodes.DataEmpty,
                    $"The verifier cannot be trained: of the {part.Length} answers to its {name} questions {right} are right, and it needs both right and wrong ones. Give more questions, or questions of which the adapter gets 30 to 90% right, or sample at a higher temperature.");
            }
        }

        return (training, held);
    }
}
