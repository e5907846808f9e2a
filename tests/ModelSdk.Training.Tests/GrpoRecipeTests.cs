using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Text;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

/// <summary>
/// A world of tokens: a fine-tuned adapter answers 7 8 9, then 0 to 8 times 10, then the end. All are right; budgets make them short.
/// </summary>
public sealed class GrpoRecipeTests
{
    private const int End = 2;

    private static readonly int[] s_generationPrompt = [3, 4, 5];
    private static readonly Dictionary<string, float[]> s_weights = RandomWeights.Of(Shapes.Tiny());
    private static readonly Lazy<LoraAdapter> s_start = new(() => FineTune(masked: true));
    private static readonly Lazy<LoraAdapter> s_unmasked = new(() => FineTune(masked: false));

    private static LoraAdapter FineTune(bool masked)
    {
        var data = new SftDataset(s_generationPrompt, [.. Enumerable.Range(0, 216).Select(i => new SftExample(Prompt(i, (i / 6 % 4) + 4), [7, 8, 9, .. Enumerable.Repeat(10, i / 6 % 9), End]))]);
        return SftRecipe.Run(Shapes.Tiny(), n => s_weights[n], data, new SftOptions
        {
            Adapter = RandomWeights.Settings() with { Masked = masked, Sft = new SftSettings { Steps = 60, Epochs = null, BatchSize = 18, LearningRate = 0.01 } },
            Seed = 4,
            Compute = ComputeOptions.Full,
        }).Adapter;
    }

    /// <summary>Six texts; the budget is the last token of the prompt.</summary>
    private static int[] Prompt(int question, int? budget) => [.. RandomWeights.Tokens(Shapes.Tiny(), 4 + (question % 6), question % 6), 40 + (budget ?? 0)];

    private static GrpoDataset Data(int questions = 30) => new(
        [.. Enumerable.Range(0, questions).Select(i => new GrpoQuestion([new ChatTurn("user", $"{i}")], "7 8 9", i + 1))],
        s_generationPrompt,
        (question, budget) => Prompt(question.Line, budget),
        tokens => new GrpoOutput(string.Join(' ', tokens), string.Join(' ', tokens.Take(3)), Math.Min(2, tokens.Count)));

    private static IReadOnlyList<double> Grade(IReadOnlyList<GradedAnswer> answers) => [.. answers.Select(a => a.Answer == a.Expected ? 1.0 : 0.0)];

    private static GrpoOptions Options(string? folder = null, Func<BudgetForcingSettings, BudgetForcingSettings>? change = null, bool masked = true)
    {
        var settings = new BudgetForcingSettings
        {
            Steps = 12,
            Prompts = 5,
            Samples = 6,
            Temperature = 0.9,
            LearningRate = 0.0005,
            Budgets = new([5, 6]),
            MaxTokens = 16,
            CheckpointEverySteps = 3,
        };
        return new()
        {
            Adapter = RandomWeights.Settings() with { Masked = masked, Budget = change?.Invoke(settings) ?? settings },
            Seed = 9,
            WorkFolder = folder,
            Compute = ComputeOptions.Full,
            MicroBatchTokens = 200,
        };
    }

    private static RolloutSampler Sampler(bool masked = true) => (adapter, prompts, temperature, cancellation) =>
    {
        using var model = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter, masked);
        return decoder.Sample(prompts, s_generationPrompt, [End], temperature, cancellation: cancellation);
    };

    private static GrpoResult Run(GrpoOptions options, Action<GrpoStep>? each = null, RolloutSampler? sampler = null, AnswerGrader? grade = null, GrpoDataset? data = null, CancellationToken? cancellation = null) =>
        GrpoRecipe.Run(Shapes.Tiny(), n => s_weights[n], data ?? Data(), options, (options.Adapter.Masked ? s_start : s_unmasked).Value, sampler ?? Sampler(options.Adapter.Masked), grade ?? Grade, each is null ? null : new Each(each), cancellation ?? TestContext.Current.CancellationToken);

    private static float[] Bytes(LoraAdapter adapter) => [.. adapter.Linears.OrderBy(l => l.Key, StringComparer.Ordinal).SelectMany(l => l.Value.A.Concat(l.Value.B))];

    /// <summary>A step without its speeds.</summary>
    private static GrpoStep Timeless(GrpoStep step) => step with { RolloutTokensPerSecond = 0, TrainingTokensPerSecond = 0 };

    private sealed class Each(Action<GrpoStep> action) : IProgress<GrpoStep>
    {
        public void Report(GrpoStep value) => action(value);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_reward_rises_and_answers_come_to_fit_their_budgets(bool masked)
    {
        var result = Run(Options(masked: masked, change: s => s with { Steps = 30, LearningRate = 0.003 }));

        var (first, last) = (result.Steps[0], result.Steps.TakeLast(5).ToArray());
        Assert.InRange(first.Reward, 0.05, 0.6);
        Assert.InRange(last.Average(s => s.Reward), 0.85, 1);
        Assert.InRange(last.Average(s => s.WithinBudget), 0.9, 1);
        Assert.True(last.Average(s => s.MeanTokens) < first.MeanTokens - 1, $"{first.MeanTokens} -> {last.Average(s => s.MeanTokens)}");
        Assert.All(result.Steps, s => Assert.InRange(s.LogProbDisagreement, 0, 1e-4)); // Torch samples as it trains
        Assert.Equal(masked ? s_generationPrompt : [], result.Adapter.InvocationTokens);
        Assert.Equal(30, result.Steps.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_that_dies_goes_on_from_its_checkpoint_and_gives_the_same_bytes(bool resample)
    {
        using var folder = new TemporaryFolder();
        Func<BudgetForcingSettings, BudgetForcingSettings> change = s => s with { Resample = resample, Tighten = 0.8 };
        var undisturbed = Run(Options(change: change));
        Assert.Throws<NotSupportedException>(() => Run(Options(folder.Path, change), s =>
        {
            if (s.Step == 8)
            {
                throw new NotSupportedException("the process dies");
            }
        }));

        var steps = new List<int>();
        var resumed = Run(Options(folder.Path, change), s => steps.Add(s.Step));

        Assert.Equal(Enumerable.Range(7, 6), steps);
        Assert.Equal(Bytes(undisturbed.Adapter), Bytes(resumed.Adapter));
        Assert.Equal(undisturbed.Steps.Select(Timeless), resumed.Steps.Select(Timeless));
        Assert.NotEqual(Bytes(s_start.Value), Bytes(resumed.Adapter));
    }

    [Fact]
    public void A_cancelled_run_keeps_the_step_it_was_in()
    {
        using var folder = new TemporaryFolder();
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Run(Options(folder.Path), s =>
        {
            if (s.Step == 4)
            {
                cancellation.Cancel();
            }
        }, cancellation: cancellation.Token));

        var steps = new List<int>();
        var resumed = Run(Options(folder.Path), s => steps.Add(s.Step));

        Assert.Equal(5, steps[0]);
        Assert.Equal(Bytes(Run(Options()).Adapter), Bytes(resumed.Adapter));
    }

    [Fact]
    public void A_grader_that_fails_or_a_cancellation_while_sampling_loses_no_whole_step()
    {
        using var folder = new TemporaryFolder();
        var graded = 0;
        Assert.Throws<IOException>(() => Run(Options(folder.Path), grade: answers => ++graded == 5 ? throw new IOException("the grader crashed") : Grade(answers)));
        var sampled = 0;
        var steps = new List<int>();
        Assert.Throws<OperationCanceledException>(() => Run(Options(folder.Path), s => steps.Add(s.Step), (adapter, prompts, temperature, cancellation) =>
            ++sampled == 5 ? throw new OperationCanceledException() : Sampler()(adapter, prompts, temperature, cancellation)));
        var resumed = Run(Options(folder.Path), s => steps.Add(s.Step));

        Assert.Equal(Enumerable.Range(5, 8), steps);
        Assert.Equal(Bytes(Run(Options()).Adapter), Bytes(resumed.Adapter));
    }

    [Fact]
    public void A_checkpoint_of_another_run_is_refused()
    {
        using var folder = new TemporaryFolder();
        Run(Options(folder.Path));
        var error = Assert.Throws<TrainingException>(() => Run(Options(folder.Path, s => s with { Kl = 0.01 })));
        Assert.Equal(DiagnosticCodes.CheckpointInvalid, error.Code);
        error = Assert.Throws<TrainingException>(() => Run(Options(folder.Path), data: Data(31)));
        Assert.Equal(DiagnosticCodes.CheckpointInvalid, error.Code);
    }

    [Fact]
    public void A_loss_that_is_not_finite_stops_with_one_error_and_keeps_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        var draws = 0;
        var broken = Assert.Throws<TrainingException>(() => Run(Options(folder.Path), sampler: (adapter, prompts, temperature, cancellation) =>
        {
            var rollouts = Sampler()(adapter, prompts, temperature, cancellation);
            return ++draws < 5 ? rollouts : [.. rollouts.Select(r => r with { LogProbs = [.. r.LogProbs.Select(_ => float.NaN)] })];
        }));

        Assert.Equal(DiagnosticCodes.LossNotFinite, broken.Code);
        Assert.Contains("stopped at step 5 of 12", broken.Message, StringComparison.Ordinal);
        var steps = new List<int>();
        var resumed = Run(Options(folder.Path), s => steps.Add(s.Step));
        Assert.Equal(4, steps[0]);
        Assert.Equal(Bytes(Run(Options()).Adapter), Bytes(resumed.Adapter));
    }

    [Fact]
    public void Rewards_that_never_differ_stop_the_run_with_one_error_that_names_the_step()
    {
        using var folder = new TemporaryFolder();
        var steps = 0;
        var error = Assert.Throws<TrainingException>(() => Run(Options(folder.Path), _ => steps++, grade: answers => [.. answers.Select(_ => 0.0)]));

        Assert.Equal(DiagnosticCodes.RewardsFlat, error.Code);
        Assert.Contains("step 10 of 12", error.Message, StringComparison.Ordinal);
        Assert.Contains("larger \"budgets\"", error.Message, StringComparison.Ordinal);
        Assert.Equal(10, steps);
        Assert.NotEmpty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_run_whose_answers_are_all_right_and_short_has_nothing_left_to_learn_and_ends_well()
    {
        var result = Run(Options(), grade: answers => [.. answers.Select(_ => 1.0)], sampler: (_, prompts, _, _) =>
            [.. prompts.SelectMany((p, i) => Enumerable.Range(0, p.Samples).Select(n => new Rollout(i, n, [7, End], [-1, -1], true)))]);
        Assert.All(result.Steps, s => Assert.Equal((1, 1, 0), (s.Reward, s.ZeroDeviation, (int)s.Updates)));
        Assert.Equal(Bytes(s_start.Value), Bytes(result.Adapter));
    }

    [Fact]
    public void Groups_without_differing_rewards_are_dropped_or_replaced_by_new_questions()
    {
        // Odd questions are always wrong, so that their groups are flat.
        AnswerGrader grade = answers => [.. answers.Select(a => int.Parse(a.Id, System.Globalization.CultureInfo.InvariantCulture) % 2 == 0 && a.Answer == a.Expected ? 1.0 : 0.0)];
        var dropped = Run(Options(change: s => s with { Steps = 3 }), grade: grade);
        Assert.All(dropped.Steps, s => Assert.InRange(s.ZeroDeviation, 0.1, 0.9));
        Assert.Equal(15, dropped.Steps[^1].Drawn);

        var prompts = new List<int>();
        var replaced = Run(Options(change: s => s with { Steps = 3, Resample = true }), grade: grade, sampler: (adapter, p, temperature, cancellation) =>
        {
            prompts.Add(p.Count);
            return Sampler()(adapter, p, temperature, cancellation);
        });
        Assert.Equal(5, prompts[0]);
        Assert.InRange(prompts[1], 1, 4); // only what is missing
        Assert.Equal(prompts.Sum(), replaced.Steps[^1].Drawn);
        Assert.InRange(prompts.Count, 4, 12);
    }

    [Fact]
    public void Completions_that_reached_the_limit_get_no_reward_or_are_left_out()
    {
        GrpoDraw[] draws = [new(0, null, 1)];
        RolloutPrompt[] prompts = [new([1], 3, 16, 1)];
        Rollout[] rollouts = [new(0, 0, [7, 8, 9, End], new float[4], true), new(0, 1, [7, 8, 9, 10], new float[4], false), new(0, 2, [1, End], new float[2], true)];
        var zero = GrpoGroup.Grade(Data(), Options().Adapter.Budget!, draws, prompts, rollouts, Grade).Single();
        Assert.Equal([1, 0, 0], zero.Compared.Select(s => s.Reward));
        Assert.Equal([3, 4, 1], zero.Samples.Select(s => s.Length));

        var mask = GrpoGroup.Grade(Data(), Options().Adapter.Budget! with { Truncated = TruncatedCompletions.Mask }, draws, prompts, rollouts, Grade).Single();
        Assert.Equal([1, 0], mask.Compared.Select(s => s.Reward));
        Assert.Equal(3, mask.Samples.Count);

        // Cut where the barrier leaves no reward: that is a known outcome, so it stays.
        RolloutPrompt[] shorter = [prompts[0] with { MaxTokens = 4 }];
        Assert.Equal(3, GrpoGroup.Grade(Data(), Options().Adapter.Budget! with { Truncated = TruncatedCompletions.Mask }, draws, shorter, rollouts, Grade).Single().Compared.Count);

        // Counting the reasoning alone: two tokens of each, which is the reward hack.
        GrpoDraw[] tight = [draws[0] with { Budget = 2 }];
        Assert.Equal(0, GrpoGroup.Grade(Data(), Options().Adapter.Budget!, tight, prompts, rollouts, Grade).Single().Samples[0].Reward);
        Assert.Equal(0.5, GrpoGroup.Grade(Data(), Options().Adapter.Budget! with { Length = CountedLength.Think }, tight, prompts, rollouts, Grade).Single().Samples[0].Reward);
    }

    [Fact]
    public void A_grader_must_score_every_answer()
    {
        var error = Assert.Throws<InvalidOperationException>(() => Run(Options(), grade: _ => [1.0]));
        Assert.Contains("30 scores", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, KlReference.Sft)]
    [InlineData(false, KlReference.Sft)]
    [InlineData(true, KlReference.Base)]
    public void Loss_and_gradients_equal_those_of_the_plain_form_differentiated_by_Torch(bool masked, KlReference klReference)
    {
        var options = Options(masked: masked, change: s => s with { Kl = 0.3, KlReference = klReference, Clip = 0.1, ClipHigh = 0.2 });
        var settings = options.Adapter.Budget!;
        using var model = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full);
        var adapter = RandomWeights.Adapter(Shapes.Tiny());
        var referenceAdapter = klReference == KlReference.Base ? null : s_start.Value;
        using var policy = LoraModule.From(model, adapter, trainable: true);
        using var reference = new GrpoReference(model, referenceAdapter);

        // Completions of different lengths with old log-probabilities around the policy's own, so that some ratios are clipped.
        var random = new Random(5);
        using var decoder = new TorchDecoder(model, adapter, masked);
        GrpoGroup[] groups = [.. Enumerable.Range(0, 3).Select(g =>
        {
            var prompt = Prompt(g, 5);
            GrpoSample[] samples = [.. decoder.Sample([new RolloutPrompt(prompt, 4, 6 + (3 * g), (ulong)g)], s_generationPrompt, [End], settings.Temperature, cancellation: TestContext.Current.CancellationToken)
                .Select(r => new GrpoSample(r with { LogProbs = [.. r.LogProbs.Select(l => l + (float)(0.6 * (random.NextDouble() - 0.5)))] }, 1, r.Tokens.Length, random.NextDouble()))];
            return new GrpoGroup(prompt, 5, samples, samples);
        })];

        var found = new GrpoLearner(model, policy, reference, Data(), options, settings).Backward(groups);
        float[] gradients = [.. policy.Parameters.SelectMany(p => Transformer.Values(p.grad!))];

        // The same, completion by completion over the whole sequence, by Torch's operators.
        using var scope = NewDisposeScope();
        using var plainModel = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full with { Composed = true });
        using var plain = LoraModule.From(plainModel, adapter, trainable: true, merged: false);
        var frozen = referenceAdapter is null ? plainModel.FrozenWeights() : LoraModule.From(plainModel, referenceAdapter, merged: false).ComputeWeights();
        Tensor LogProbs(LayerWeights[] weights, int[] prompt, int[] tokens)
        {
            int[] row = masked ? [.. s_generationPrompt, .. tokens] : [.. prompt, .. s_generationPrompt, .. tokens];
            var past = PromptCache.Encode(plainModel, plainModel.FrozenWeights(), [prompt]).select(1, 0);
            var hidden = MaskedForward.Hidden(plainModel, weights, [row[..^1]], [masked ? past : past.narrow(2, 0, 0)])[0];
            var logits = plainModel.HeadLogits(hidden.narrow(0, row.Length - 1 - tokens.Length, tokens.Length)) / settings.Temperature;
            return (logits - logits.logsumexp(-1, keepdim: true)).gather(1, tensor(tokens.Select(t => (long)t).ToArray()).unsqueeze(1)).squeeze(1);
        }

        var total = zeros(1);
        var count = 0;
        foreach (var group in groups)
        {
            var rewards = group.Samples.Select(s => s.Reward).ToArray();
            var deviation = Math.Sqrt(rewards.Sum(r => Math.Pow(r - rewards.Average(), 2)) / (rewards.Length - 1));
            foreach (var sample in group.Samples)
            {
                var advantage = (float)((sample.Reward - rewards.Average()) / (deviation + 1e-4));
                var now = LogProbs(plain.ComputeWeights(), group.Prompt, sample.Rollout.Tokens);
                using var nothing = no_grad();
                var then = LogProbs(frozen, group.Prompt, sample.Rollout.Tokens).detach();
                using var gradient = enable_grad();
                var ratio = (now - tensor(sample.Rollout.LogProbs)).exp();
                var distance = then - now;
                total = total - minimum(ratio * advantage, ratio.clamp(0.9, 1.2) * advantage).sum() + ((distance.exp() - distance - 1) * 0.3).sum();
                count += sample.Rollout.Tokens.Length;
            }
        }

        var loss = total.sum() / count;
        loss.backward();
        Assert.Equal(count, found.Tokens);
        Assert.InRange(found.Clipped, 0.05, 0.9);
        Assert.Equal(loss.item<float>(), found.Loss, 1e-5);
        TransformerTests.AssertClose([.. plain.Parameters.SelectMany(p => Transformer.Values(p.grad!)).Select(v => (double)v)], gradients, 1e-5);
    }

    [Fact]
    public void Samples_follow_the_models_probabilities_and_carry_their_logarithms()
    {
        using var model = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, s_start.Value);
        var prompt = Prompt(3, null);
        var rollouts = decoder.Sample([new RolloutPrompt(prompt, 300, 14, 6), new RolloutPrompt(Prompt(4, null), 2, 3, 7)], s_generationPrompt, [End], 1.3, batchSize: 128, cancellation: TestContext.Current.CancellationToken);

        Assert.Equal(302, rollouts.Count);
        Assert.All(rollouts, r => Assert.Equal(r.Ended, r.Tokens[^1] == End));
        Assert.All(rollouts.Where(r => r.Prompt == 1), r => Assert.InRange(r.Tokens.Length, 1, 3));
        foreach (var rollout in rollouts.Take(20))
        {
            var logits = decoder.Logits([.. prompt, .. s_generationPrompt, .. rollout.Tokens], prompt.Length).Skip(s_generationPrompt.Length - 1).ToArray();
            for (var t = 0; t < rollout.Tokens.Length; t++)
            {
                var scaled = logits[t].Select(l => l / 1.3).ToArray();
                var expected = scaled[rollout.Tokens[t]] - scaled.Max() - Math.Log(scaled.Sum(s => Math.Exp(s - scaled.Max())));
                Assert.Equal(expected, rollout.LogProbs[t], 1e-4);
            }
        }

        // The first token's frequency is its probability.
        var likely = rollouts.Where(r => r.Prompt == 0).GroupBy(r => r.Tokens[0]).MaxBy(g => g.Count())!;
        Assert.InRange(likely.Count() / 300.0, Math.Exp(likely.First().LogProbs[0]) - 0.1, Math.Exp(likely.First().LogProbs[0]) + 0.1);

        // Batches do not change what is drawn.
        var again = decoder.Sample([new RolloutPrompt(prompt, 300, 14, 6)], s_generationPrompt, [End], 1.3, batchSize: 50, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(rollouts.Take(300).Select(r => string.Join(' ', r.Tokens)), again.Select(r => string.Join(' ', r.Tokens)));
    }
}
