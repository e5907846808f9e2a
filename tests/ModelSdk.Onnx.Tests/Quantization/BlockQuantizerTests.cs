using System.Runtime.Intrinsics;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;

namespace ModelSdk.Onnx.Tests.Quantization;

public sealed class BlockQuantizerTests
{
    [Theory]
    [InlineData(4, 32)]
    [InlineData(4, 64)]
    [InlineData(4, 128)]
    [InlineData(8, 32)]
    [InlineData(8, 128)]
    [InlineData(2, 32)]
    [InlineData(2, 128)]
    [InlineData(2, 256)]
    public void Error_of_every_block_is_at_most_that_of_round_to_nearest(int bits, int block)
    {
        float[] weights = Weights(64, 256);
        float[] restored = RoundTrip(weights, 256, bits, block);

        double ours = 0, naive = 0;
        for (int start = 0; start < weights.Length; start += block)
        {
            double[] w = [.. weights.AsSpan(start, block).ToArray().Select(v => (double)v)];
            double mine = w.Select((v, i) => Math.Pow(v - restored[start + i], 2)).Sum();
            double plain = RoundToNearestError(w, bits);
            Assert.True(mine <= plain * (1 + 1e-5) + 1e-14, $"Block at {start}: {mine} > {plain}");
            (ours, naive) = (ours + mine, naive + plain);
        }

        // Full range and searched scales must pay, not merely not hurt; 8 bits have little to gain.
        Assert.InRange(ours / naive, 0, bits switch { 2 => 0.35, 4 => 0.85, _ => 0.99 });
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void Chosen_scale_is_the_best_of_a_double_precision_search(int bits)
    {
        float[] weights = Weights(8, 64);
        float[] restored = RoundTrip(weights, 64, bits, 32);
        for (int start = 0; start < weights.Length; start += 32)
        {
            double[] w = [.. weights.AsSpan(start, 32).ToArray().Select(v => (double)v)];
            double mine = w.Select((v, i) => Math.Pow(v - restored[start + i], 2)).Sum();
            Assert.InRange(mine, 0, SearchError(w, bits) * (1 + 1e-4));
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void A_search_weighted_by_importance_is_the_best_of_a_double_precision_search_and_never_worse_than_an_unweighted_one(int bits)
    {
        float[] weights = Weights(32, 128);
        var random = new Random(9);
        float[] importance = [.. Enumerable.Range(0, 128).Select(i => (float)Math.Exp(2 * TinyModel.Normal(random)))];
        float[] plain = RoundTrip(weights, 128, bits, 64);
        float[] weighted = RoundTrip(weights, 128, bits, 64, importance);
        double before = 0, after = 0;
        for (int start = 0; start < weights.Length; start += 64)
        {
            double[] w = [.. weights.AsSpan(start, 64).ToArray().Select(v => (double)v)];
            double[] h = [.. importance.AsSpan(start % 128, 64).ToArray().Select(v => (double)v)];
            double mine = w.Select((v, i) => h[i] * Math.Pow(v - weighted[start + i], 2)).Sum();
            double other = w.Select((v, i) => h[i] * Math.Pow(v - plain[start + i], 2)).Sum();
            Assert.InRange(mine, 0, SearchError(w, bits, h) * (1 + 1e-4));
            Assert.InRange(mine, 0, other * (1 + 1e-4));
            (before, after) = (before + other, after + mine);
        }

        Assert.InRange(after / before, 0, bits switch { 2 => 0.9, 4 => 0.93, _ => 0.999 });
    }

    [Theory]
    [InlineData(2, false)]
    [InlineData(4, true)]
    [InlineData(8, true)]
    public void Both_vector_widths_sum_to_the_same_bits(int bits, bool weighted)
    {
        float[] weights = Weights(16, 128);
        float[] importance = weighted ? [.. Weights(1, 128).Select(Math.Abs)] : [];
        for (int start = 0; start < weights.Length; start += 128)
        {
            ReadOnlySpan<float> block = weights.AsSpan(start, 128);
            float inverse = (1 << (bits - 1)) / block[3], trial = 1 / inverse;
            (Vector512<float> rr, Vector512<float> rq, Vector512<float> qq) = BlockQuantizer.Sums512(block, importance, inverse, trial, bits);
            Assert.Equal(BlockQuantizer.Sums256(block, importance, inverse, trial, bits), (rr.GetLower(), rq.GetLower(), qq.GetLower()));
            Assert.Equal(BlockQuantizer.Sums256(block, importance, -inverse, -trial, bits), (rr.GetUpper(), rq.GetUpper(), qq.GetUpper()));
        }
    }

    [Fact]
    public void Equal_importance_changes_nothing()
    {
        float[] weights = Weights(16, 128);
        foreach (int bits in (int[])[2, 4, 8])
            Assert.Equal(RoundTrip(weights, 128, bits, 32), RoundTrip(weights, 128, bits, 32, [.. Enumerable.Repeat(1f, 128)]));
    }

    [Fact]
    public void Two_bits_are_packed_low_bits_first_with_zero_at_2()
    {
        // The extreme -2 makes the scale 1, so the codes are the weights themselves plus 2.
        float[] weights = [.. Enumerable.Range(0, 32).Select(i => (float)((i % 4) - 2))];
        var data = new byte[8];
        var scales = new float[1];

        BlockQuantizer.Quantize("w", weights, 32, 2, 32, data, scales);

        Assert.Equal(1f, scales[0]);
        Assert.All(data, b => Assert.Equal(0b11_10_01_00, b));
        Assert.Equal(weights, RoundTrip(weights, 32, 2, 32));
    }

    [Fact]
    public void Layout_is_low_nibble_first_with_zero_at_8()
    {
        // The extreme -8 makes the scale 1, so the codes are the weights themselves plus 8.
        float[] weights = [.. Enumerable.Range(0, 32).Select(i => (float)((i % 16) - 8))];
        var data = new byte[16];
        var scales = new float[1];

        BlockQuantizer.Quantize("w", weights, 32, 4, 32, data, scales);

        Assert.Equal(1f, scales[0]);
        Assert.Equal([0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE], data[..8]);
        Assert.Equal(weights, RoundTrip(weights, 32, 4, 32));
    }

    [Fact]
    public void Scale_is_negative_where_the_positive_end_reaches_further()
    {
        float[] weights = [.. Enumerable.Range(0, 32).Select(i => (float)(8 - (i % 16)))];
        var scales = new float[1];

        BlockQuantizer.Quantize("w", weights, 32, 4, 32, new byte[16], scales);

        Assert.Equal(-1f, scales[0]);
        Assert.Equal(weights, RoundTrip(weights, 32, 4, 32));
    }

    [Fact]
    public void Zeros_stay_zeros()
    {
        Assert.All(RoundTrip(new float[128], 64, 4, 32), v => Assert.Equal(0f, v));
        Assert.All(RoundTrip(new float[128], 64, 8, 64), v => Assert.Equal(0f, v));
        Assert.All(RoundTrip(new float[128], 64, 2, 64), v => Assert.Equal(0f, v));
    }

    [Fact]
    public void Result_does_not_depend_on_how_rows_are_spread_over_threads()
    {
        float[] weights = Weights(200, 128);
        var (data, scales) = (new byte[200 * 64], new float[200 * 4]);
        BlockQuantizer.Quantize("w", weights, 128, 4, 32, data, scales);
        for (int row = 0; row < 200; row++)
        {
            var (rowData, rowScales) = (new byte[64], new float[4]);
            BlockQuantizer.Quantize("w", weights.AsMemory(row * 128, 128), 128, 4, 32, rowData, rowScales);
            Assert.Equal(rowData, data[(row * 64)..((row + 1) * 64)]);
            Assert.Equal(rowScales, scales[(row * 4)..((row + 1) * 4)]);
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_weight_that_is_not_finite_is_named(float bad)
    {
        float[] weights = Weights(4, 64);
        weights[(2 * 64) + 37] = bad;

        var e = Assert.Throws<ExportException>(() => RoundTrip(weights, 64, 4, 32));

        Assert.Equal("MDL4002", e.Code);
        Assert.Contains("layers.0.w", e.Message, StringComparison.Ordinal);
        Assert.Contains("row 2, column 37", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_width_that_does_not_divide_by_the_block_is_named()
    {
        var e = Assert.Throws<ExportException>(() => RoundTrip(Weights(2, 96), 96, 4, 64));

        Assert.Equal(DiagnosticCodes.BlockDoesNotDivide, e.Code);
        Assert.Contains("layers.0.w", e.Message, StringComparison.Ordinal);
        Assert.Contains("96", e.Message, StringComparison.Ordinal);
        Assert.Contains("64", e.Message, StringComparison.Ordinal);
    }

    private static float[] RoundTrip(float[] weights, int columns, int bits, int block, float[]? importance = null)
    {
        var data = new byte[weights.Length * bits / 8];
        var scales = new float[weights.Length / block];
        BlockQuantizer.Quantize("layers.0.w", weights, columns, bits, block, data, scales, importance: importance);
        var restored = new float[weights.Length];
        BlockQuantizer.Dequantize(data, scales, columns, bits, block, restored);
        return restored;
    }

    private static float[] Weights(int rows, int columns)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, rows * columns).Select(_ => (float)(0.05 * TinyModel.Normal(random)))];
    }

    private static double RoundToNearestError(double[] w, int bits)
    {
        int top = (1 << (bits - 1)) - 1;
        double scale = w.Max(Math.Abs) / top;
        return w.Sum(v => Math.Pow(v - (Math.Clamp(Math.Round(v / scale), -top - 1, top) * scale), 2));
    }

    /// <summary>The same candidates in double precision, each judged by the weighted error it leaves.</summary>
    private static double SearchError(double[] w, int bits, double[]? importance = null)
    {
        double[] h = importance ?? [.. w.Select(_ => 1.0)];
        int top = (1 << (bits - 1)) - 1;
        double extreme = w.MaxBy(Math.Abs);
        double best = double.MaxValue;
        for (int i = 0; i < 20; i++)
        {
            foreach (int sign in (int[])[1, -1])
            {
                double trial = sign * extreme / (bits switch { 2 => (5 + i) / 5.0, 4 => (31 + i) / 5.0, _ => 118 + i });
                double[] q = [.. w.Select(v => Math.Clamp(Math.Round(v / trial), -top - 1, top))];
                double scale = w.Select((v, k) => h[k] * v * q[k]).Sum() / q.Select((b, k) => h[k] * b * b).Sum();
                best = Math.Min(best, w.Select((v, k) => h[k] * Math.Pow(v - (q[k] * scale), 2)).Sum());
            }
        }

        return best;
    }
}
