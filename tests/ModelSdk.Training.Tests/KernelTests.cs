using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Kernels;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

public sealed class KernelTests
{
    /// <summary>Whole vectors and odd rests; heads of 32 and of 8; groups of 1, 2 and 3.</summary>
    public static TheoryData<TransformerConfig> Configs { get; } =
    [
        new TransformerConfig("qwen2", 70, 96, 144, 2, 3, 1, 32, 64, 10000, 1e-6, true),
        new TransformerConfig("qwen2", 61, 40, 50, 2, 5, 5, 8, 64, 10000, 1e-6, false),
        new TransformerConfig("qwen2", 128, 128, 192, 2, 4, 2, 64, 64, 10000, 1e-6, true),
    ];

    private static (float Loss, float[] Gradients) Train(TransformerConfig config, ComputeOptions compute, int[]? segments)
    {
        var weights = RandomWeights.Of(config);
        using var model = Transformer.Load(config, n => weights[n], trainable: true, compute);
        using var scope = NewDisposeScope();
        var batch = new TokenBatch
        {
            Ids = [.. RandomWeights.Tokens(config, 3 * 21, 9).Select(t => (long)t)],
            Rows = 3,
            LossWeights = [.. Enumerable.Range(0, 3 * 21).Select(i => i % 21 < 2 || (segments is not null && segments[i] != segments[i - 1]) ? 0 : 0.5f + (i % 3))],
            Segments = segments,
        };
        var loss = model.Loss(batch);
        loss.backward();
        return (loss.item<float>(), [.. model.Parameters.SelectMany(p => Transformer.Values(p.Value.grad!))]);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Loss_and_all_gradients_equal_those_of_composed_operators(TransformerConfig config)
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        foreach (var segments in (int[]?[])[null, [.. Enumerable.Range(0, 63).Select(i => i % 21 / 8)]])
        {
            var (loss, gradients) = Train(config, ComputeOptions.Full, segments);
            var (expectedLoss, expected) = Train(config, ComputeOptions.Full with { Composed = true }, segments);
            Assert.Equal(expectedLoss, loss, 1e-5);
            TransformerTests.AssertClose([.. expected.Select(v => (double)v)], gradients, 2e-5);
        }
    }

    [Fact]
    public void BFloat16_gradients_point_where_those_of_fp32_do()
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        var config = Shapes.Small with { VocabularySize = 128, HiddenSize = 128, IntermediateSize = 192, Layers = 2, Heads = 4, HeadSize = 32 };
        var (_, exact) = Train(config, ComputeOptions.Full, null);
        var (_, kernels) = Train(config, ComputeOptions.BFloat16, null);
        Assert.InRange(Cosine(exact, kernels), 0.995, 1);
    }

    [Fact]
    public void Vectors_of_bf16_round_as_Torch_does()
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var x = randn([40, 24], generator: generator).to_type(ScalarType.BFloat16);
        var addend = randn([40, 24], generator: generator).to_type(ScalarType.BFloat16);
        var expected = (x.to_type(ScalarType.Float32) + addend.to_type(ScalarType.Float32)).to_type(ScalarType.BFloat16);
        NormKernel.Forward<Bf16>(x, addend, empty_like(x), empty([40]), 1e-6);
        Assert.Equal(Transformer.Values(expected), Transformer.Values(addend));
    }

    [Fact]
    public void Exp_is_exact_to_single_precision()
    {
        for (var x = -100f; x < 80; x += 0.0137f)
        {
            var expected = Math.Exp(x);
            var actual = VectorMath.Exp(System.Runtime.Intrinsics.Vector512.Create(x))[3];
            Assert.True(Math.Abs(actual - expected) <= (4e-7 * expected) + 2e-38, $"exp({x}) = {actual}, expected {expected}");
        }
    }

    [Fact]
    public void A_team_covers_every_row_once_and_passes_failures_on()
    {
        var counts = new int[1000];
        Team.For(counts.Length, 10, (from, to) =>
        {
            for (var i = from; i < to; i++)
            {
                Interlocked.Increment(ref counts[i]);
            }
        });
        Assert.All(counts, c => Assert.Equal(1, c));
        Assert.Throws<NotSupportedException>(() => Team.For(1000, 1, (_, _) => throw new NotSupportedException()));
    }

    private static double Cosine(float[] a, float[] b)
    {
        double Dot(float[] x, float[] y) => x.Zip(y, (p, q) => (double)p * q).Sum();
        return Dot(a, b) / Math.Sqrt(Dot(a, a) * Dot(b, b));
    }

    [Theory]
    [InlineData(48)]
    [InlineData(333)]
    [InlineData(5)]
    public void Sums_of_squares_are_those_of_a_plain_loop_on_any_number_of_threads(int columns)
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        using var scope = NewDisposeScope();
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        {
            var x = randn([50, columns]).to_type(type);
            var values = Transformer.Values(x);
            var threads = get_num_threads();
            List<double[]> found = [];
            foreach (var count in (int[])[1, 2, 3])
            {
                set_num_threads(count);
                var squares = new double[columns];
                Squares(x, squares);
                found.Add([.. squares, type == ScalarType.BFloat16 ? MomentKernel.Energy<Bf16>(x) : MomentKernel.Energy<Fp32>(x)]);
            }

            set_num_threads(threads);
            Assert.All(found, f => Assert.Equal(found[0], f));
            for (var c = 0; c < columns; c++)
            {
                Assert.Equal(Enumerable.Range(0, 50).Sum(row => Math.Pow(values[(row * columns) + c], 2)), found[0][c], 1e-4);
            }

            Assert.Equal(values.Sum(v => (double)v * v), found[0][columns], 1e-2);
        }

        static void Squares(Tensor x, double[] sums)
        {
            if (x.dtype == ScalarType.BFloat16)
            {
                MomentKernel.AddColumnSquares<Bf16>(x, sums);
            }
            else
            {
                MomentKernel.AddColumnSquares<Fp32>(x, sums);
            }
        }
    }
}
