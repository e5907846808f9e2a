using System.Diagnostics;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Optimizers;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>
/// Budget forcing (paper 4): GRPO on the adapter that fine-tuning left. Questions get a budget from buckets, stated in the prompt; the
/// reward of a completion is whether it is right times a soft barrier on its length; the samples of one question are compared with each
/// other. Completions come from the deployed engine, so the policy that is improved is the one that ships.
/// </summary>
public static class GrpoRecipe
{
    /// <summary>Most times that a step draws questions anew in place of those without differing rewards; DAPO and DLER set such a limit, too.</summary>
    private const int MostDraws = 4;

    /// <summary>Trains, or goes on from the checkpoint in the work folder.</summary>
    /// <remarks>Sampling and training take turns and never run at the same time.</remarks>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Weights of the base by Hugging Face name; dequantized ones, as in fine-tuning.</param>
    /// <param name="data">Questions.</param>
    /// <param name="options">Settings.</param>
    /// <param name="start">The adapter as fine-tuning left it: the first policy, and the reference where the settings say so.</param>
    /// <param name="sample">Draws completions.</param>
    /// <param name="grade">Scores answers.</param>
    /// <param name="progress">Told after each step, on this thread.</param>
    /// <param name="cancellation">Checked while sampling and after each step; a checkpoint of all whole steps is written first.</param>
    /// <returns>Adapter and steps.</returns>
    /// <exception cref="TrainingException">MDL3001 no torch; MDL3020 settings; MDL3021 the loss is not finite; MDL3022 the checkpoint; MDL3023 rewards do not differ. The last checkpoint stays.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; run again to go on.</exception>
    public static GrpoResult Run(
        TransformerConfig config,
        Func<string, float[]> read,
        GrpoDataset data,
        GrpoOptions options,
        LoraAdapter start,
        RolloutSampler sample,
        AnswerGrader grade,
        IProgress<GrpoStep>? progress = null,
        CancellationToken cancellation = default)
    {
        var settings = options.Adapter.Budget ?? throw new ArgumentException("The adapter has no settings of budget forcing.", nameof(options));
        Check(settings, options.Adapter);
        using var model = Transformer.Load(config, read, trainable: false, options.Compute);
        using var policy = LoraModule.From(model, start with { Dropout = 0 }, trainable: true);
        using var reference = settings.Kl == 0 ? null : new GrpoReference(model, settings.KlReference == KlReference.Sft ? start : null);
        var parameters = policy.Parameters;
        using var optimizer = new AdamW(parameters, weightDecay: settings.WeightDecay);
        var schedule = new GrpoSchedule(data.Questions.Count, settings, options.Seed);
        var learner = new GrpoLearner(model, policy, reference, data, options, settings);
        LoraAdapter Current() => policy.ToAdapter(start.InvocationTokens) with { Dropout = start.Dropout, BaseModel = start.BaseModel };

        // 1. Where an earlier run stopped.
        IReadOnlyList<Tensor> state = [.. parameters, .. optimizer.State];
        var checkpoint = options.WorkFolder is null ? null : new TrainingCheckpoint(options.WorkFolder, "budget", RunFingerprint.Of(config, data, options, settings, start, model.Compute));
        List<GrpoStep> done = [.. (checkpoint?.Read(state) ?? []).Select(GrpoStep.FromRow)];
        optimizer.Steps = done.Count == 0 ? 0 : done[^1].Updates;

        for (var step = done.Count; step < settings.Steps; step++)
        {
            // 2. Questions with budgets, completions, rewards. Groups whose rewards do not differ are dropped, or replaced by new questions.
            var factor = GrpoReward.TightenFactor(step, settings.Steps, settings.Tighten);
            var drawn = done.Count == 0 ? 0 : done[^1].Drawn;
            var adapter = Current();
            var sampling = new Stopwatch();
            var all = new List<GrpoGroup>();
            var kept = new List<GrpoGroup>();
            try
            {
                for (var draw = 0; draw < (settings.Resample ? MostDraws : 1) && kept.Count < settings.Prompts; draw++)
                {
                    GrpoDraw[] draws = [.. Enumerable.Range(0, settings.Prompts - kept.Count).Select(i => schedule.Draw(drawn + i, factor))];
                    drawn += draws.Length;
                    RolloutPrompt[] prompts = [.. draws.Select(d => new RolloutPrompt(
                        data.Render(data.Questions[d.Question], d.Budget), settings.Samples, GrpoReward.WorthSampling(d.Budget, settings), d.Seed))];
                    sampling.Start();
                    var rollouts = sample(adapter, prompts, settings.Temperature, cancellation);
                    sampling.Stop();
                    var groups = GrpoGroup.Grade(data, settings, draws, prompts, rollouts, grade);
                    all.AddRange(groups);
                    kept.AddRange(groups.Where(g => !g.IsFlat));
                }
            }
            catch when (done.Count > 0)
            {
                checkpoint?.Write(state, [.. done.Select(s => s.ToRow())]); // Cancelled, or the grader failed: the steps before are not lost.
                throw;
            }

            // 3. Advantages, then the gradient of the clipped loss over all tokens of the step.
            var training = Stopwatch.StartNew();
            using var scope = NewDisposeScope();
            var learnt = kept.Count == 0 ? GrpoGradient.None : learner.Backward(kept);
            var norm = kept.Count == 0 ? 0 : GradientClipping.Clip(parameters, settings.MaxGradNorm);
            if (!double.IsFinite(learnt.Loss) || !double.IsFinite(norm))
            {
                throw new TrainingException(
                    DiagnosticCodes.LossNotFinite,
                    $"Budget forcing stopped at step {step + 1} of {settings.Steps}: the loss is {learnt.Loss}, the gradient norm {norm}. The last checkpoint is kept. Lower \"learningRate\" of \"budget\" (now {settings.LearningRate}) or check the data.");
            }

            // 4. The update.
            var rate = SftSchedule.LearningRate(step, settings.Steps, settings.LearningRate, settings.Warmup);
            if (kept.Count > 0)
            {
                optimizer.Step(rate);
            }

            done.Add(GrpoMeasure.Step(step, settings.Steps, all, kept, learnt, norm, rate, sampling.Elapsed, training.Elapsed, drawn, optimizer.Steps));
            progress?.Report(done[^1]);

            // 5. Keep what was learnt; stop where nothing is.
            var last = step + 1 == settings.Steps;
            GrpoStep[] flat = [.. done.AsEnumerable().Reverse().TakeWhile(s => s.ZeroDeviation == 1)];
            if (flat.Length >= options.FlatStepsBeforeError && flat.Average(s => s.Reward) < 0.5)
            {
                throw Flat(step, flat, settings);
            }

            if (!last && (cancellation.IsCancellationRequested || (step + 1) % settings.CheckpointEverySteps == 0))
            {
                checkpoint?.Write(state, [.. done.Select(s => s.ToRow())]);
                cancellation.ThrowIfCancellationRequested();
            }
        }

        return new GrpoResult(Current(), done);
    }

    private static TrainingException Flat(int step, GrpoStep[] flat, BudgetForcingSettings settings) => new(
        DiagnosticCodes.RewardsFlat,
        $"Budget forcing stopped at step {step + 1} of {settings.Steps}: for {flat.Length} steps all samples of each question got the same reward ({flat.Average(s => s.Reward):0.00} on average, {100 * flat.Average(s => s.Accuracy):0}% right), so nothing can be learnt. The last checkpoint is kept. Answers must be right and within their budgets now and then: state larger \"budgets\", train longer by \"sft\", take easier questions, or check the expected answers and the grader.");

    private static void Check(BudgetForcingSettings settings, AdapterSettings adapter)
    {
        if (settings.Budgets.Count == 0)
        {
            throw new TrainingException(DiagnosticCodes.TrainingSettingInvalid, $"The budget forcing of adapter \"{adapter.Name}\" names no budgets. Give some in tokens, such as \"budgets\": [64, 128].");
        }

        if (settings.Samples < 2)
        {
            throw new TrainingException(DiagnosticCodes.TrainingSettingInvalid, $"The budget forcing of adapter \"{adapter.Name}\" draws {settings.Samples} sample a question, but advantages compare at least 2.");
        }
    }
}
