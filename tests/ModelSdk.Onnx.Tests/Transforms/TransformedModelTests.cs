using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Transforms;

/// <summary>Every transform changes weights and leaves the function; adapters move with the base.</summary>
public sealed class TransformedModelTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Kinds => [.. RandomTransforms.Kinds];

    public void Dispose() => folder.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_function_stays_within_1e_9_in_double_precision(string kind)
    {
        foreach (bool tied in (bool[])[true, false])
        {
            TransformerConfig config = TinyModel.Config(tied, intermediate: 96);
            using Checkpoint checkpoint = TinyModel.Write(folder[$"base-{tied}"], config);
            int[] ids = TinyModel.Tokens(config, 12);
            var transformed = new TransformedModel(checkpoint, RandomTransforms.Of(config, kind));

            double[][] expected = new ReferenceTransformer(config, Widened(checkpoint)).Forward(ids);
            double[][] actual = new ReferenceTransformer(transformed.Config, transformed.Read).Forward(ids);

            Assert.InRange(Difference(expected, actual), 0, 1e-9);
            Assert.InRange(Difference(Read(checkpoint, config), Read(transformed, config)), 0.1, double.MaxValue);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void An_adapter_moves_onto_the_transformed_base_and_back(string kind)
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        LoraAdapter adapter = TinyModel.Adapter(config, 4, 8);
        int[] ids = TinyModel.Tokens(config, 12);
        var transformed = new TransformedModel(checkpoint, RandomTransforms.Of(config, kind));

        LoraAdapter moved = transformed.ToTransformed(adapter);
        LoraAdapter back = transformed.ToOriginal(moved);

        double[][] expected = new ReferenceTransformer(config, Widened(checkpoint), adapter, adapterStart: 4).Forward(ids);
        Assert.InRange(Difference(expected, new ReferenceTransformer(transformed.Config, transformed.Read, moved, adapterStart: 4).Forward(ids)), 0, 1e-5);
        Assert.InRange(Difference(expected, new ReferenceTransformer(config, Widened(checkpoint), back, adapterStart: 4).Forward(ids)), 0, 1e-5);
        Assert.InRange(Difference(expected, new ReferenceTransformer(config, Widened(checkpoint)).Forward(ids)), 0.1, double.MaxValue);
        foreach (LoraLinear linear in adapter.Linears.Values)
        {
            Assert.InRange(Difference([Widened(linear.A)], [Widened(back.Linears[linear.Name].A)]), 0, 1e-5);
            Assert.InRange(Difference([Widened(linear.B)], [Widened(back.Linears[linear.Name].B)]), 0, 1e-5);
        }
    }

    [Fact]
    public void An_adapter_of_a_norm_with_a_gain_of_zero_comes_back_as_one_that_computes_the_same()
    {
        TransformerConfig config = TinyModel.Config(layers: 1);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        double[] WithZero(string name)
        {
            double[] values = Widened(checkpoint)(name);
            if (name.EndsWith("layernorm.weight", StringComparison.Ordinal))
                values[5] = 0;
            return values;
        }

        LoraAdapter adapter = TinyModel.Adapter(config, 4, 8);
        var transformed = new TransformedModel(config, WithZero, RandomTransforms.Of(config, "norms"));

        LoraAdapter back = transformed.ToOriginal(transformed.ToTransformed(adapter));

        int[] ids = TinyModel.Tokens(config, 8);
        double[][] expected = new ReferenceTransformer(config, WithZero, adapter).Forward(ids);
        Assert.InRange(Difference(expected, new ReferenceTransformer(config, WithZero, back).Forward(ids)), 0, 1e-5);
    }

    [Fact]
    public void Transforms_of_transforms_undo_each_other()
    {
        TransformerConfig config = TinyModel.Config(tied: false, layers: 1);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        double[] factors = [.. Enumerable.Range(0, config.IntermediateSize).Select(i => Math.Pow(10, (i % 5) - 2))];
        var there = new TransformedModel(checkpoint, new ModelTransforms { Layers = [new LayerTransforms { Up = factors }] });
        var back = new TransformedModel(there.Config, there.Read, new ModelTransforms { Layers = [new LayerTransforms { Up = [.. factors.Select(f => 1 / f)] }] });

        Assert.InRange(Difference(Read(checkpoint, config), Read(back, config)), 0, 1e-12);
    }

    [Fact]
    public void A_tied_model_gets_a_head_of_its_own_when_norms_are_folded()
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);

        Assert.False(new TransformedModel(checkpoint, new ModelTransforms { FoldNorms = true }).Config.TiedEmbeddings);
        Assert.True(new TransformedModel(checkpoint, RandomTransforms.Of(config, "up")).Config.TiedEmbeddings);
    }

    [Fact]
    public void A_transformed_checkpoint_can_be_written_and_opened()
    {
        TransformerConfig config = TinyModel.Config();
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        var transformed = new TransformedModel(checkpoint, RandomTransforms.Of(config, "all"));
        int[] ids = TinyModel.Tokens(config, 12);

        CheckpointWriter.Write(folder["transformed"], transformed.Config, transformed.ReadSingles, TensorDType.F32);

        using Checkpoint written = Checkpoint.Open(folder["transformed"]);
        Assert.InRange(
            Difference(new ReferenceTransformer(config, checkpoint.Read).Forward(ids), new ReferenceTransformer(written.Config, written.Read).Forward(ids)), 0, 1e-4);
    }

    [Fact]
    public void Keys_never_exceed_the_bound_after_the_closed_form_at_any_position()
    {
        TransformerConfig config = TinyModel.Config(layers: 1);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        var random = new Random(3);
        double[][] keys = [.. Enumerable.Range(0, 50).Select(_ => Enumerable.Range(0, config.KeyValueSize).Select(i => TinyModel.Normal(random) * (i % 7 == 0 ? 100 : 1)).ToArray())];
        int half = config.HeadSize / 2;
        double[] maxima = [.. Enumerable.Range(0, config.KeyValueSize / 2).Select(p =>
        {
            int at = (p / half * config.HeadSize) + (p % half);
            return keys.Max(k => Math.Sqrt((k[at] * k[at]) + (k[at + half] * k[at + half])));
        })];

        KeyTransform transform = KeyTransform.FromMaxima(maxima, bound: 2);

        foreach (double[] key in keys)
        {
            for (int p = 0; p < maxima.Length; p++)
            {
                int at = (p / half * config.HeadSize) + (p % half);
                for (int position = 0; position < 40; position++)
                {
                    (double sin, double cos) = Math.SinCos(position * Math.Pow(config.RopeTheta, -2.0 * (p % half) / config.HeadSize));
                    Assert.InRange(Math.Abs(transform.Scales[p] * ((key[at] * cos) - (key[at + half] * sin))), 0, 2 + 1e-12);
                }
            }
        }
    }

    [Fact]
    public void A_pair_that_is_always_zero_keeps_its_scale() => Assert.Equal([0.5, 1], KeyTransform.FromMaxima([2, 0]).Scales);

    [Theory]
    [InlineData("zero", "T_u of layer 1 is 0 at 3")]
    [InlineData("nan", "T_u of layer 1 holds NaN at 3")]
    [InlineData("length", "T_u of layer 1 must have 160 values, not 4")]
    [InlineData("layers", "transforms for 1 layers; the model has 2")]
    [InlineData("permutation", "the permutation of layer 1 is no order of 160 channels")]
    [InlineData("heads", "T_v of layer 1 does not have 2 heads of 16 channels")]
    [InlineData("unfolded", "needs the norms folded")]
    [InlineData("rotation", "T_r is not orthogonal")]
    [InlineData("singular", "T_v of key/value head 1 is singular")]
    public void A_transform_that_does_not_fit_or_cannot_be_undone_is_one_clear_error(string mistake, string text)
    {
        TransformerConfig config = TinyModel.Config();
        double[] ones = [.. Enumerable.Repeat(1.0, config.IntermediateSize)];
        double[] With(double value) => [.. ones.Select((v, i) => i == 3 ? value : v)];
        LayerTransforms Bad() => mistake switch
        {
            "zero" => new() { Up = With(0) },
            "nan" => new() { Up = With(double.NaN) },
            "length" => new() { Up = [1, 2, 3, 4] },
            "permutation" => new() { Permutation = new int[config.IntermediateSize] },
            "heads" => new() { Values = ValueTransform.General([new double[] { 1, 0, 0, 1 }], 2) },
            "singular" => new() { Values = ValueTransform.General([[1, 0, 0, 1], [1, 2, 2, 4]], 2) },
            _ => new(),
        };

        var e = Assert.Throws<ExportException>(() => new TransformedModel(config, _ => [], new ModelTransforms
        {
            FoldNorms = mistake == "rotation",
            Residual = mistake is "rotation" or "unfolded" ? [.. Enumerable.Repeat(1.0, config.HiddenSize * config.HiddenSize)] : null,
            Layers = mistake == "layers" ? [new()] : [new(), Bad()],
        }));

        Assert.Equal("MDL4060", e.Code);
        Assert.Contains(text, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_of_another_shape_does_not_move()
    {
        TransformerConfig config = TinyModel.Config();
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(intermediate: 96), 4, 8, ["mlp.down_proj"]);

        var e = Assert.Throws<ExportException>(() => new TransformedModel(config, _ => [], new ModelTransforms()).ToTransformed(adapter));

        Assert.Equal("MDL4012", e.Code);
        Assert.Contains("model.layers.0.mlp.down_proj [64, 96]", e.Message, StringComparison.Ordinal);
    }

    private static Func<string, double[]> Widened(Checkpoint checkpoint) => name => Widened(checkpoint.Read(name));

    private static double[] Widened(float[] values) => Array.ConvertAll(values, v => (double)v);

    private static double[][] Read(Checkpoint checkpoint, TransformerConfig config) => [.. Qwen2Tensors.Of(config).Select(t => Widened(checkpoint.Read(t.Name)))];

    private static double[][] Read(TransformedModel model, TransformerConfig config) => [.. Qwen2Tensors.Of(config).Select(t => model.Read(t.Name))];

    private static double Difference(double[][] a, double[][] b) => a.Zip(b, (x, y) => x.Zip(y, (u, v) => Math.Abs(u - v)).Max()).Max();
}
