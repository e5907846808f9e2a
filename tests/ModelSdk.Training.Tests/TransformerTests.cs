using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

public sealed class TransformerTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_equal_a_double_precision_reference_with_tied_and_untied_heads(bool tied)
    {
        var config = Shapes.Tiny(tied);
        var weights = RandomWeights.Of(config);
        using var model = Transformer.Load(config, n => weights[n], compute: ComputeOptions.Full);
        var reference = new ReferenceTransformer(config, n => [.. weights[n].Select(v => (double)v)]);
        var rows = new[] { RandomWeights.Tokens(config, 17, 1), RandomWeights.Tokens(config, 17, 2) };

        using var scope = NewDisposeScope();
        var logits = Transformer.Values(model.Logits(Batch(rows)));

        AssertClose([.. rows.SelectMany(r => reference.Logits(r)).SelectMany(l => l)], logits, 1e-4);
    }

    [Fact]
    public void Packed_texts_do_not_see_each_other()
    {
        var config = Shapes.Tiny();
        var weights = RandomWeights.Of(config);
        using var model = Transformer.Load(config, n => weights[n], compute: ComputeOptions.Full);
        int[] first = RandomWeights.Tokens(config, 7, 1), second = RandomWeights.Tokens(config, 9, 2);
        using var scope = NewDisposeScope();

        var packed = model.Logits(Batch([[.. first, .. second]]) with { Segments = [.. Enumerable.Repeat(0, 7), .. Enumerable.Repeat(1, 9)] });
        var alone = Transformer.Values(model.Logits(Batch([second])));

        AssertClose([.. alone.Select(v => (double)v)], Transformer.Values(packed[0, TensorIndex.Slice(7)]), 1e-4);
    }

    [Fact]
    public void Exported_tensors_give_the_same_model_again()
    {
        var config = Shapes.Tiny(tied: false);
        using var model = Transformer.Create(config, seed: 9, ComputeOptions.Full);
        var exported = model.Export().ToDictionary(t => t.Name);
        Assert.Equal([16L, 32], exported["model.layers.1.self_attn.k_proj.weight"].Shape);
        using var again = Transformer.Load(config, n => exported[n].Values, compute: ComputeOptions.Full);
        using var scope = NewDisposeScope();
        var batch = Batch([RandomWeights.Tokens(config, 12, 4)]);

        Assert.Equal(Transformer.Values(model.Logits(batch)), Transformer.Values(again.Logits(batch)));
    }

    [Fact]
    public void BFloat16_stays_near_fp32()
    {
        var config = Shapes.Tiny();
        using var exact = Transformer.Create(config, seed: 2, ComputeOptions.Full);
        using var fast = Transformer.Create(config, seed: 2, ComputeOptions.BFloat16);
        using var scope = NewDisposeScope();
        var batch = Batch([RandomWeights.Tokens(config, 20, 4)]) with { LossWeights = [0, .. Enumerable.Repeat(1f, 19)] };
        var difference = Math.Abs(exact.Loss(batch).item<float>() - fast.Loss(batch).item<float>());
        Assert.InRange(difference, 0, 0.01);
    }

    [Fact]
    public void Gradients_of_all_parameters_agree_with_finite_differences()
    {
        var config = Shapes.Tiny(tied: false);
        var weights = RandomWeights.Of(config);
        using var model = Transformer.Load(config, n => weights[n], trainable: true, ComputeOptions.Full);
        var tokens = RandomWeights.Tokens(config, 11, 1);
        using var scope = NewDisposeScope();
        model.Loss(Batch([tokens]) with { LossWeights = [0, 0, 0, .. Enumerable.Repeat(1f, 8)] }).backward();

        foreach (var parameter in model.Parameters)
        {
            var part = parameter.Parts[^1];
            var gradient = Transformer.Values(parameter.Value.grad!);
            var size = weights[part.Name].Length;
            size = parameter.Kind == ParameterKind.Vector ? part.Rows : size;
            // The largest gradient of the part: differences of tiny ones would be noise.
            var own = gradient[^size..];
            var index = Enumerable.Range(0, size).MaxBy(i => Math.Abs(own[i]));
            double Loss(double by) => new ReferenceTransformer(config, n =>
            {
                var values = weights[n].Select(v => (double)v).ToArray();
                if (n == part.Name)
                {
                    values[index] += by;
                }

                return values;
            }).Loss(tokens, 0, 3);

            var expected = (Loss(1e-4) - Loss(-1e-4)) / 2e-4;
            Assert.True(Math.Abs(expected - own[index]) < 1e-4 + (1e-3 * Math.Abs(expected)), $"{part.Name}[{index}]: {own[index]}, expected {expected}");
        }
    }

    internal static TokenBatch Batch(int[][] rows) => new()
    {
        Ids = [.. rows.SelectMany(r => r).Select(t => (long)t)],
        Rows = rows.Length,
        LossWeights = new float[rows.Sum(r => r.Length)],
    };

    internal static void AssertClose(double[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        var worst = Enumerable.Range(0, expected.Length).MaxBy(i => Math.Abs(expected[i] - actual[i]));
        Assert.True(Math.Abs(expected[worst] - actual[worst]) <= tolerance * Math.Max(1, Math.Abs(expected[worst])), $"[{worst}] is {actual[worst]}, expected {expected[worst]}");
    }
}
