using ModelSdk.Manifest;
using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Training.Heads;

namespace ModelSdk.Training.Tests;

public sealed class HeadTests
{
    private const int Features = 32;

    private static readonly Dictionary<string, float[]> s_weights = RandomWeights.Of(Shapes.Tiny());

    private static readonly SwitcherOptions s_switcher = new() { Seed = 3, Steps = 200, LearningRate = 0.01 };

    [Fact]
    public void The_area_under_the_curve_counts_pairs_and_half_of_ties()
    {
        Assert.Equal(1, AreaUnderCurve.Of([1, 2, 3, 4], [false, false, true, true]));
        Assert.Equal(0, AreaUnderCurve.Of([4, 3, 2, 1], [false, false, true, true]));
        Assert.Equal(0.5, AreaUnderCurve.Of([1, 1, 1, 1], [false, true, false, true]));
        Assert.Equal(0.875, AreaUnderCurve.Of([1, 2, 2, 3], [false, false, true, true]));
        Assert.Equal(double.NaN, AreaUnderCurve.Of([1, 2], [true, true]));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(6)]
    [InlineData(13)]
    public void Pooling_is_the_running_average_of_the_means_of_chunks(int length)
    {
        var prompt = RandomWeights.Tokens(Shapes.Tiny(), length, 7);
        using var model = Transformer.Load(Shapes.Tiny(), n => s_weights[n], compute: ComputeOptions.Full);

        var pooled = PromptPooling.Pool(model, [RandomWeights.Tokens(Shapes.Tiny(), 17, 8), prompt], chunk: 4, smoothing: 0.3, TestContext.Current.CancellationToken)[1];

        using var scope = TorchSharp.torch.NewDisposeScope();
        var hidden = Transformer.Values(model.FinalNorm(model.Hidden(new TokenBatch { Ids = [.. prompt.Select(t => (long)t)], Rows = 1, LossWeights = new float[length] }))).Chunk(Features).ToArray();
        double[]? state = null;
        foreach (var chunk in hidden.Chunk(4))
        {
            double[] mean = [.. Enumerable.Range(0, Features).Select(d => chunk.Average(h => (double)h[d]))];
            state = state is null ? mean : [.. state.Zip(mean, (s, m) => (0.7 * s) + (0.3 * m))];
        }

        Assert.All(pooled.Zip(state!), p => Assert.Equal(p.Second, p.First, 1e-4));
    }

    [Fact]
    public void A_switcher_learns_what_can_be_told_apart_and_the_same_seed_gives_the_same_bytes()
    {
        var (pooled, modes) = Prompts(apart: true);

        var result = Train(pooled, modes, s_switcher);

        Assert.InRange(result.Auc, 0.98, 1);
        Assert.Equal(80, result.HeldOut);
        Assert.Equal(3, result.Head.B2.Length);
        Assert.Equal(result.Head.W1, Train(pooled, modes, s_switcher).Head.W1);
        Assert.NotEqual(result.Head.W1, Train(pooled, modes, s_switcher with { Seed = 4 }).Head.W1);

        // Held-out prompts that look alike are told apart by chance only.
        Assert.InRange(Train(Prompts(apart: false).Pooled, modes, s_switcher).Auc, 0.3, 0.7);
    }

    [Fact]
    public void A_mode_without_prompts_is_an_error_and_a_cancelled_training_stops()
    {
        var (pooled, modes) = Prompts(apart: true);
        Assert.Equal(DiagnosticCodes.DataEmpty, Assert.Throws<TrainingException>(() => Train(pooled, [.. modes.Select(m => Math.Min(m, 1))], s_switcher)).Code);
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Assert.Throws<OperationCanceledException>(() => SwitcherTrainer.Train(pooled, modes, ["base", "a", "b"], s_switcher, cancellation: cancellation.Token));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_verifier_learns_from_what_the_answer_says(bool lora)
    {
        // Right answers end with token 7, wrong ones with 8.
        var data = Answers((right, _) => right ? 7 : 8);
        var options = new VerifierOptions { Seed = 2, Lora = lora, Steps = 80, LearningRate = 0.02, Holdout = 0.25, Penalty = 0, Compute = ComputeOptions.Full };

        var result = Verify(data, options);

        Assert.InRange(result.Auc, 0.85, 1); // of a random network's hidden states
        Assert.Equal(lora, result.Head.Lora is not null);
        Assert.Equal(result.Head.W, Verify(data, options).Head.W);
        var logits = VerifierTrainer.Score(Shapes.Tiny(), n => s_weights[n], RandomWeights.Adapter(Shapes.Tiny()), data, result.Head, ComputeOptions.Full, TestContext.Current.CancellationToken);
        Assert.InRange(AreaUnderCurve.Of(logits, [.. data.Questions.SelectMany(q => q.Samples).Select(s => s.Right)]), 0.85, 1);
    }

    [Fact]
    public void A_verifier_may_read_how_sure_the_generator_was()
    {
        var data = Answers((_, random) => random.Next(9, 20), right => new SequenceConfidence(right ? -0.1 : -2, -0.05));
        var options = new VerifierOptions { Seed = 2, Steps = 80, LearningRate = 0.05, Holdout = 0.25, Compute = ComputeOptions.Full };

        Assert.InRange(Verify(data, options).Auc, 0, 0.85);
        var sure = Verify(data, options with { Confidence = true });
        Assert.InRange(sure.Auc, 0.98, 1);
        Assert.True(sure.Head.Confidence!.Least > 0);
        using var folder = new TemporaryFolder();
        sure.Head.Save(folder.Path);
        var read = VerifierHead.Load(folder.Path);
        Assert.Equal(sure.Head.Confidence.Least, read.Confidence!.Least, 1e-6);
        Assert.Equal(sure.Head.W, read.W);
    }

    [Fact]
    public void A_verifier_needs_right_and_wrong_answers()
    {
        var data = Answers((_, _) => 7);
        var allRight = data with { Questions = [.. data.Questions.Select(q => q with { Samples = [.. q.Samples.Select(s => s with { Right = true })] })] };
        Assert.Equal(DiagnosticCodes.DataEmpty, Assert.Throws<TrainingException>(() => Verify(allRight, new VerifierOptions { Seed = 1 })).Code);
    }

    private static VerifierResult Verify(VerifierData data, VerifierOptions options) =>
        VerifierTrainer.Run(Shapes.Tiny(), n => s_weights[n], RandomWeights.Adapter(Shapes.Tiny()), data, options, cancellation: TestContext.Current.CancellationToken);

    private static VerifierData Answers(Func<bool, Random, int> last, Func<bool, SequenceConfidence>? confidence = null)
    {
        var random = new Random(5);
        return new VerifierData([3, 4, 5], [2, 6, 9], [.. Enumerable.Range(0, 40).Select(q => new VerifierQuestion(
            RandomWeights.Tokens(Shapes.Tiny(), 4 + (q % 3), q),
            [.. Enumerable.Range(0, 6).Select(s =>
            {
                var right = random.Next(2) == 0;
                return new VerifierSample([10, 11, last(right, random)], right, confidence?.Invoke(right) ?? default);
            })]))]);
    }

    private static SwitcherResult Train(IReadOnlyList<float[]> pooled, IReadOnlyList<int> modes, SwitcherOptions options) =>
        SwitcherTrainer.Train(pooled, modes, ["base", "a", "b"], options, cancellation: TestContext.Current.CancellationToken);

    private static (float[][] Pooled, int[] Modes) Prompts(bool apart)
    {
        var random = new Random(9);
        int[] modes = [.. Enumerable.Range(0, 400).Select(i => i % 4 == 0 ? 1 : i % 4 == 1 ? 2 : 0)];
        return ([.. modes.Select(m => (float[])[.. Enumerable.Range(0, 8).Select(d => (float)((random.NextDouble() * 2) - 1 + (apart && d == m ? 3 : 0)))])], modes);
    }
}
