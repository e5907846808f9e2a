using MathTutor.Recipe.Studies.Outliers;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training;

namespace MathTutor.Recipe.Tests;

/// <summary>The parts of the study of planted outliers, on the base that the sample ships.</summary>
public sealed class OutlierStudyTests : IDisposable
{
    private readonly Checkpoint _checkpoint = Checkpoint.Open(Path.GetDirectoryName(Committed.Base("config.json"))!);

    public void Dispose() => _checkpoint.Dispose();

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    public void The_range_of_least_squares_is_the_best_of_a_fine_search_and_min_max_reaches_the_greatest(int bits)
    {
        var random = new Random(bits);
        float[] row = [.. Enumerable.Range(0, 192).Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
        int most = (1 << (bits - 1)) - 1;

        double minMax = ChannelRounding.Scale(row, bits, RangeSetting.MinMax);
        double error = Error(ChannelRounding.Rows(row, row.Length, bits, RangeSetting.LeastSquares));
        double fine = Enumerable.Range(1, 4000).Min(i => row.Sum(w => Math.Pow(w - (Math.Clamp(Math.Round(w / (minMax * i / 4000)), -most, most) * minMax * i / 4000), 2)));

        Assert.Equal(row.Max(Math.Abs) / most, minMax, 1e-6);
        Assert.InRange(error, fine * 0.999, fine * 1.02);
        Assert.InRange(error, 0, Error(ChannelRounding.Rows(row, row.Length, bits, RangeSetting.MinMax)));

        double Error(float[] rounded) => row.Zip(rounded, (w, q) => Math.Pow(w - q, 2)).Sum();
    }

    [Fact]
    public void Rows_have_scales_of_their_own_and_zeros_stay()
    {
        float[] rounded = ChannelRounding.Rows([7, 3.4f, -0.6f, 700, 340, -60, 0, 0, 0], 3, 4, RangeSetting.MinMax);
        Assert.Equal([7, 3, -1, 700, 300, -100, 0, 0, 0], rounded);
    }

    [Fact]
    public void Planted_outliers_leave_the_function_and_break_what_transforms_make_good()
    {
        TransformerConfig config = _checkpoint.Config;
        int[] tokens = [.. Enumerable.Range(0, 120).Select(i => (i * 37) % 600)];
        var planted = new TransformedModel(_checkpoint, PlantedOutliers.Of(config, 30, 0.05, seed: 1));
        CacheStatistics Of(TransformedModel model)
        {
            using Transformer base_ = Transformer.Load(model.Config, model.ReadSingles, compute: ComputeOptions.Full);
            return new CacheStatistics(base_, [tokens]);
        }

        CacheStatistics before = Of(planted);
        var solved = new TransformedModel(config, planted.Read, SolvedTransforms.Of(config, planted.ReadSingles, before, rotate: true));
        CacheStatistics after = Of(solved);

        float[] exact = Logits(_checkpoint.Config, _checkpoint.Read, null, tokens);
        Assert.InRange(Difference(Logits(config, planted.ReadSingles, null, tokens)), 0, 1e-3);
        Assert.InRange(Difference(Logits(solved.Config, solved.ReadSingles, null, tokens)), 0, 1e-3);

        Assert.True(before.KeyPairMaxima(1).Max() > 100 * before.KeyPairMaxima(1).Min());
        Assert.All(after.KeyPairMaxima(1), m => Assert.Equal(1, m, 1e-3));

        double broken = Difference(Logits(config, Rounded(planted), before.Scales(RangeSetting.MinMax), tokens));
        double recovered = Difference(Logits(solved.Config, Rounded(solved), after.Scales(RangeSetting.MinMax), tokens));
        Assert.InRange(recovered, 0, broken / 2);

        double Difference(float[] logits) => Math.Sqrt(exact.Zip(logits, (a, b) => Math.Pow(a - b, 2)).Sum() / exact.Sum(a => Math.Pow(a, 2)));

        Func<string, float[]> Rounded(TransformedModel model) => name => name.EndsWith("_proj.weight", StringComparison.Ordinal)
            ? ChannelRounding.Rows(model.ReadSingles(name), name.Contains("down_proj", StringComparison.Ordinal) ? config.IntermediateSize : config.HiddenSize, 4, RangeSetting.MinMax)
            : model.ReadSingles(name);
    }

    [Fact]
    public void The_factors_of_two_linears_leave_the_least_product_of_activations_and_weights()
    {
        double[] weights = [0.5, 2, 7, 0], activations = [3, 0.1, 1, 2];
        double[] balanced = SolvedTransforms.Balance(weights, activations);

        Assert.Equal(1, balanced[3]);
        double least = Error(balanced);
        var random = new Random(2);
        for (int i = 0; i < 1000; i++)
        {
            Assert.True(Error([.. balanced.Select(d => d * Math.Exp(random.NextDouble() - 0.5))]) >= least * (1 - 1e-12));
        }

        double Error(double[] d) => d.Take(3).Select((x, i) => Math.Pow(x * activations[i], 2)).Sum() * d.Take(3).Select((x, i) => Math.Pow(weights[i] / x, 2)).Sum();
    }

    [Fact]
    public void Calibration_reads_keys_and_values_at_their_channels()
    {
        TransformerConfig config = _checkpoint.Config;
        using Transformer model = Transformer.Load(config, _checkpoint.Read, compute: ComputeOptions.Full);
        int[] tokens = [5, 99, 31, 7, 250];
        IReadOnlyList<float[]> held = model.KeysAndValues(tokens);
        var statistics = new CacheStatistics(model, [tokens, tokens]);
        int head = 1, channel = 3, size = config.HeadSize, half = size / 2;
        float At(int slab, int token, int c) => held[slab][(((head * tokens.Length) + token) * size) + c];

        Assert.Equal(
            Enumerable.Range(0, 5).Max(t => Math.Sqrt(Math.Pow(At(4, t, channel), 2) + Math.Pow(At(4, t, channel + half), 2))),
            statistics.KeyPairMaxima(2)[(head * half) + channel],
            1e-5);
        Assert.Equal(Math.Sqrt(Enumerable.Range(0, 5).Average(t => Math.Pow(At(5, t, channel), 2))), statistics.ValueRms(2)[(head * size) + channel], 1e-5);
        Assert.Equal(held[4].Max(Math.Abs) / 127, statistics.Scales(RangeSetting.MinMax).Layers[2].Keys[7], 1e-6);
    }

    private static float[] Logits(TransformerConfig config, Func<string, float[]> read, ModelSdk.Onnx.Quantization.KeyValueScales? cache, int[] tokens)
    {
        using Transformer model = Transformer.Load(config, read, compute: ComputeOptions.Full with { Cache = cache });
        using var decoder = new TorchDecoder(model);
        return [.. decoder.Logits(tokens, 0).SelectMany(l => l)];
    }
}
