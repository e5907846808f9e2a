using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace ModelSdk.Training.Tests;

public sealed class SftRecipeTests
{
    private const int End = 2;

    private static readonly Dictionary<string, float[]> s_weights = RandomWeights.Of(Shapes.Tiny());

    /// <summary>The answer to every prompt is its length class, then a fixed phrase: learnt in a few steps.</summary>
    private static readonly SftDataset s_data = new([3, 4, 5], [.. Enumerable.Range(0, 24).Select(i =>
        new SftExample(RandomWeights.Tokens(Shapes.Tiny(), 4 + (i % 7), i), [7, 8, 9, .. Enumerable.Repeat(10, i % 3), End]))]);

    private static SftOptions Options(string? folder = null, double dropout = 0, bool masked = true, int steps = 12, double learningRate = 0.01) => new()
    {
        Adapter = RandomWeights.Settings() with
        {
            Dropout = dropout,
            Masked = masked,
            Sft = new SftSettings { Steps = steps, Epochs = null, BatchSize = 5, LearningRate = learningRate, CheckpointEverySteps = 5 },
        },
        Seed = 4,
        WorkFolder = folder,
        MicroBatchTokens = 24,
    };

    private static SftResult Run(SftOptions options, Action<SftProgress>? each = null, Func<string, float[]>? read = null) =>
        SftRecipe.Run(Shapes.Tiny(), read ?? (n => s_weights[n]), s_data, options, each is null ? null : new Each(each), TestContext.Current.CancellationToken);

    /// <summary>Cancels while a step is in progress; the run must end with the exception that says so.</summary>
    private static void RunUntil(int step, SftOptions options)
    {
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => SftRecipe.Run(Shapes.Tiny(), n => s_weights[n], s_data, options, new Each(p =>
        {
            if (p.Step == step)
            {
                cancellation.Cancel();
            }
        }), cancellation.Token));
    }

    private static float[] Bytes(LoraAdapter adapter) => [.. adapter.Linears.OrderBy(l => l.Key, StringComparer.Ordinal).SelectMany(l => l.Value.A.Concat(l.Value.B))];

    private static IReadOnlyList<DecodedSequence> Decode(TorchDecoder decoder) =>
        decoder.Decode([.. s_data.Examples.Select(e => e.Prompt)], s_data.GenerationPrompt, [End], 8, cancellation: TestContext.Current.CancellationToken);

    private sealed class Each(Action<SftProgress> action) : IProgress<SftProgress>
    {
        public void Report(SftProgress value) => action(value);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_adapter_learns_the_answer_and_the_base_keeps_its_own(bool masked)
    {
        var result = Run(Options(masked: masked, steps: 60));

        Assert.InRange(result.Losses[0], 2, 20);
        Assert.InRange(result.Losses[^1], 0, 0.7);
        Assert.Equal(masked ? [3, 4, 5] : [], result.Adapter.InvocationTokens);
        using var model = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full);
        using var adapted = new TorchDecoder(model, result.Adapter, masked);
        using var plain = new TorchDecoder(model);
        Assert.All(Decode(adapted), d => Assert.Equal([7, 8, 9], d.Tokens.Take(3)));
        Assert.DoesNotContain(Decode(plain), d => d.Tokens.Take(3).SequenceEqual([7, 8, 9]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.2)]
    public void The_same_seed_gives_the_same_bytes_and_another_seed_does_not(double dropout)
    {
        var first = Run(Options(dropout: dropout));
        Assert.Equal(Bytes(first.Adapter), Bytes(Run(Options(dropout: dropout)).Adapter));
        Assert.NotEqual(Bytes(first.Adapter), Bytes(Run(Options(dropout: dropout) with { Seed = 5 }).Adapter));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.2)]
    public void A_run_that_dies_goes_on_from_its_checkpoint_and_gives_the_same_bytes(double dropout)
    {
        using var folder = new TemporaryFolder();
        var undisturbed = Run(Options(dropout: dropout));
        Assert.Throws<NotSupportedException>(() => Run(Options(folder.Path, dropout), p =>
        {
            if (p.Step == 8)
            {
                throw new NotSupportedException("the process dies");
            }
        }));

        var steps = new List<int>();
        var resumed = Run(Options(folder.Path, dropout), p => steps.Add(p.Step));

        Assert.Equal(Enumerable.Range(6, 7), steps);
        Assert.Equal(Bytes(undisturbed.Adapter), Bytes(resumed.Adapter));
        Assert.Equal(undisturbed.Losses, resumed.Losses);
    }

    [Fact]
    public void A_cancelled_run_keeps_the_step_it_was_in()
    {
        using var folder = new TemporaryFolder();
        RunUntil(3, Options(folder.Path));

        var steps = new List<int>();
        var resumed = Run(Options(folder.Path), p => steps.Add(p.Step));

        Assert.Equal(4, steps[0]);
        Assert.Equal(Bytes(Run(Options()).Adapter), Bytes(resumed.Adapter));
    }

    [Fact]
    public void A_loss_that_is_not_finite_stops_with_one_error_and_keeps_the_checkpoint()
    {
        using var folder = new TemporaryFolder();
        RunUntil(6, Options(folder.Path));

        var error = Assert.Throws<TrainingException>(() => Run(Options(folder.Path), read: n => n == "model.norm.weight" ? [.. s_weights[n].Select(_ => float.NaN)] : s_weights[n]));

        Assert.Equal(DiagnosticCodes.LossNotFinite, error.Code);
        Assert.Contains("step 7 of 12", error.Message, StringComparison.Ordinal);
        Assert.Equal(Bytes(Run(Options()).Adapter), Bytes(Run(Options(folder.Path)).Adapter));
    }

    [Fact]
    public void A_checkpoint_of_another_run_or_a_damaged_one_is_refused()
    {
        using var folder = new TemporaryFolder();
        Run(Options(folder.Path));
        var other = Assert.Throws<TrainingException>(() => Run(Options(folder.Path, learningRate: 0.02)));
        Assert.Equal(DiagnosticCodes.CheckpointInvalid, other.Code);

        var file = Directory.GetFiles(folder.Path).Single();
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^100]);
        var damaged = Assert.Throws<TrainingException>(() => Run(Options(folder.Path)));
        Assert.Equal(DiagnosticCodes.CheckpointInvalid, damaged.Code);
        Assert.Contains(file, damaged.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_rate_warms_up_and_falls_as_a_cosine()
    {
        var settings = new SftSettings { LearningRate = 1, Warmup = 0.2 };
        var rates = Enumerable.Range(0, 10).Select(s => SftSchedule.LearningRate(s, 10, settings)).ToArray();
        Assert.Equal(0.5, rates[0], 1e-12);
        Assert.Equal(1, rates[1], 1e-12);
        Assert.Equal(0.5 * (1 + Math.Cos(Math.PI * 4 / 9)), rates[5], 1e-12);
        Assert.InRange(rates[9], 0.001, 0.05);
        Assert.Equal(rates.Skip(1).OrderDescending(), rates.Skip(1));
    }

    [Fact]
    public void Each_pass_shows_every_example_once_in_another_order()
    {
        var order = SftSchedule.Order(10, 4, 5, seed: 3).SelectMany(b => b).ToArray();
        Assert.Equal(Enumerable.Range(0, 10), order[..10].Order());
        Assert.Equal(Enumerable.Range(0, 10), order[10..].Order());
        Assert.NotEqual(order[..10], order[10..]);
        Assert.NotEqual(order, SftSchedule.Order(10, 4, 5, seed: 4).SelectMany(b => b));
        Assert.Equal(3, SftSchedule.Steps(new SftSettings { Epochs = 2.5, BatchSize = 10 }, 10));
    }

    [Fact]
    public void Micro_batches_hold_every_item_once_within_the_limit()
    {
        int[] lengths = [.. Enumerable.Range(0, 100).Select(i => 1 + (i * 37 % 60))];
        var batches = MicroBatches.Split(Enumerable.Range(0, 100).ToArray(), i => lengths[i], 400);
        Assert.Equal(Enumerable.Range(0, 100), batches.SelectMany(b => b).Order());
        Assert.All(batches, b => Assert.True(b.Length == 1 || b.Length * b.Max(i => lengths[i]) <= 400));
        Assert.InRange(batches.Count, 8, 12); // 3000 tokens
    }
}
