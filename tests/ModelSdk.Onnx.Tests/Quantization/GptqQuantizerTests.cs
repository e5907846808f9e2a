using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;

namespace ModelSdk.Onnx.Tests.Quantization;

public sealed class GptqQuantizerTests
{
    private const int Columns = 128;

    [Theory]
    [InlineData(2, 32, true)]
    [InlineData(4, 64, true)]
    [InlineData(2, 64, false)]
    [InlineData(4, 32, false)]
    public void Codes_and_scales_are_those_of_textbook_GPTQ_in_double_precision(int bits, int block, bool inOrder)
    {
        (float[] gram, _) = Correlated(1);
        float[] weights = Weights(6);
        int[] order = inOrder ? [.. Enumerable.Range(0, Columns)] : GptqQuantizer.ByActivation([.. Enumerable.Range(0, Columns).Select(i => gram[(i * Columns) + i])]);

        (float[] restored, float[] scales, double loss) = Solve(weights, gram, order, bits, block);
        (double[] expected, double expectedLoss) = Textbook(weights, gram, order, bits, block, scales);

        // A value in the middle between two codes may fall to either side, and then all that follows differs: few rows may.
        int same = Enumerable.Range(0, 6).Count(row => Enumerable.Range(0, Columns).All(c => Math.Abs(restored[(row * Columns) + c] - expected[(row * Columns) + c]) < 1e-4));
        Assert.InRange(same, 5, 6);
        Assert.InRange(loss / expectedLoss, 0.98, 1.02);
    }

    [Theory]
    [InlineData(2, 32)]
    [InlineData(2, 128)]
    [InlineData(4, 32)]
    [InlineData(4, 128)]
    [InlineData(8, 32)]
    public void The_error_of_outputs_is_less_than_that_of_rounding_on_correlated_inputs(int bits, int block)
    {
        (float[] gram, float[] inputs) = Correlated(2);
        float[] weights = Weights(48);
        int[] byActivation = GptqQuantizer.ByActivation([.. Enumerable.Range(0, Columns).Select(i => gram[(i * Columns) + i])]);
        float[] diagonal = [.. Enumerable.Range(0, Columns).Select(i => gram[(i * Columns) + i])];

        double fast = OutputError(weights, Rounded(weights, bits, block, null), inputs);
        double weighted = OutputError(weights, Rounded(weights, bits, block, diagonal), inputs);
        double natural = OutputError(weights, Solve(weights, gram, [.. Enumerable.Range(0, Columns)], bits, block).Restored, inputs);
        double ordered = OutputError(weights, Solve(weights, gram, byActivation, bits, block).Restored, inputs);

        Assert.InRange(natural / fast, 0, 0.75);
        Assert.InRange(ordered / weighted, 0, 0.75);
    }

    [Fact]
    public void The_loss_is_the_trace_that_it_stands_for()
    {
        (float[] gram, float[] inputs) = Correlated(3);
        float[] weights = Weights(10);
        int[] order = GptqQuantizer.ByActivation([.. Enumerable.Range(0, Columns).Select(i => gram[(i * Columns) + i])]);

        (float[] restored, _, double loss) = Solve(weights, gram, order, 4, 32);

        double mean = Enumerable.Range(0, Columns).Average(i => (double)gram[(i * Columns) + i]);
        double damping = 0.01 * mean * weights.Zip(restored, (a, b) => Math.Pow(a - b, 2)).Sum();
        Assert.InRange(loss / (OutputError(weights, restored, inputs) + damping), 0.999, 1.001);
    }

    [Fact]
    public void Uncorrelated_inputs_of_equal_size_leave_nothing_to_feed_back()
    {
        var gram = new float[Columns * Columns];
        for (int i = 0; i < Columns; i++)
            gram[(i * Columns) + i] = 3;
        float[] weights = Weights(8);

        (float[] restored, float[] scales, _) = Solve(weights, gram, [.. Enumerable.Range(0, Columns).Reverse()], 4, 32);

        for (int i = 0; i < weights.Length; i++)
        {
            float scale = scales[i / 32];
            Assert.Equal(Math.Clamp(Math.Round(weights[i] / scale), -8, 7) * scale, restored[i], 1e-6);
        }
    }

    [Fact]
    public void Inputs_that_are_always_zero_are_no_harm()
    {
        float[] weights = Weights(4);
        Assert.All(Solve(weights, new float[Columns * Columns], [.. Enumerable.Range(0, Columns)], 4, 32).Restored, v => Assert.True(float.IsFinite(v)));
    }

    [Fact]
    public void The_result_does_not_depend_on_how_rows_are_spread_over_threads()
    {
        (float[] gram, _) = Correlated(4);
        float[] weights = Weights(70);
        int[] order = [.. Enumerable.Range(0, Columns)];
        float[] all = Solve(weights, gram, order, 2, 64).Restored;
        for (int row = 0; row < 70; row += 7)
            Assert.Equal(all[(row * Columns)..((row + 1) * Columns)], Solve(weights[(row * Columns)..((row + 1) * Columns)], gram, order, 2, 64).Restored);
    }

    [Fact]
    public void Activations_that_are_not_finite_are_named()
    {
        (float[] gram, _) = Correlated(5);
        gram[(3 * Columns) + 7] = float.NaN;

        var e = Assert.Throws<ExportException>(() => Solve(Weights(2), gram, [.. Enumerable.Range(0, Columns)], 4, 32));

        Assert.Equal(DiagnosticCodes.CalibrationNotFinite, e.Code);
        Assert.Contains("layers.0.w", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_that_are_not_finite_are_named()
    {
        float[] weights = Weights(2);
        weights[Columns + 9] = float.PositiveInfinity;

        var e = Assert.Throws<ExportException>(() => Solve(weights, Correlated(6).Gram, [.. Enumerable.Range(0, Columns)], 4, 32));

        Assert.Equal(DiagnosticCodes.WeightNotFinite, e.Code);
        Assert.Contains("row 1, column 9", e.Message, StringComparison.Ordinal);
    }

    private static (float[] Restored, float[] Scales, double Loss) Solve(float[] weights, float[] gram, int[] order, int bits, int block)
    {
        var data = new byte[weights.Length * bits / 8];
        var scales = new float[weights.Length / block];
        double loss = GptqQuantizer.Quantize("layers.0.w", weights, ErrorFeedback.Create("layers.0.w", gram, order), bits, block, data, scales);
        var restored = new float[weights.Length];
        BlockQuantizer.Dequantize(data, scales, Columns, bits, block, restored);
        return (restored, scales, loss);
    }

    private static float[] Rounded(float[] weights, int bits, int block, float[]? importance)
    {
        var data = new byte[weights.Length * bits / 8];
        var scales = new float[weights.Length / block];
        BlockQuantizer.Quantize("w", weights, Columns, bits, block, data, scales, importance: importance);
        var restored = new float[weights.Length];
        BlockQuantizer.Dequantize(data, scales, Columns, bits, block, restored);
        return restored;
    }

    /// <summary>
    /// GPTQ as its authors write it: each column is rounded, and its error goes, by the inverse of what is left of H, to all columns behind it.
    /// Scales are those that were found, as they are tested elsewhere.
    /// </summary>
    private static (double[] Restored, double Loss) Textbook(float[] weights, float[] gram, int[] order, int bits, int block, float[] scales)
    {
        double mean = Enumerable.Range(0, Columns).Average(i => (double)gram[(i * Columns) + i]);
        var h = new double[Columns, Columns];
        for (int i = 0; i < Columns; i++)
        {
            for (int j = 0; j < Columns; j++)
                h[i, j] = gram[(order[i] * Columns) + order[j]] + (i == j ? 0.01 * mean : 0);
        }

        int rows = weights.Length / Columns;
        var w = new double[rows, Columns];
        for (int row = 0; row < rows; row++)
        {
            for (int i = 0; i < Columns; i++)
                w[row, i] = weights[(row * Columns) + order[i]];
        }

        int low = -(1 << (bits - 1));
        double loss = 0;
        var restored = new double[weights.Length];
        double[,] inverse = Inverse(h);
        for (int k = 0; k < Columns; k++)
        {
            double pivot = inverse[k, k];
            for (int row = 0; row < rows; row++)
            {
                double scale = scales[(row * (Columns / block)) + (order[k] / block)];
                double q = scale == 0 ? 0 : Math.Clamp(Math.Round(w[row, k] / scale), low, -low - 1) * scale;
                double error = (w[row, k] - q) / pivot;
                loss += (w[row, k] - q) * error;
                for (int j = k + 1; j < Columns; j++)
                    w[row, j] -= error * inverse[k, j];
                restored[(row * Columns) + order[k]] = q;
            }

            // The inverse of H without the k-th row and column.
            for (int i = k + 1; i < Columns; i++)
            {
                for (int j = k + 1; j < Columns; j++)
                    inverse[i, j] -= inverse[i, k] * inverse[k, j] / pivot;
            }
        }

        return (restored, loss);
    }

    private static double[,] Inverse(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        var left = (double[,])matrix.Clone();
        var right = new double[n, n];
        for (int i = 0; i < n; i++)
            right[i, i] = 1;
        for (int c = 0; c < n; c++)
        {
            double pivot = left[c, c];
            for (int j = 0; j < n; j++)
                (left[c, j], right[c, j]) = (left[c, j] / pivot, right[c, j] / pivot);
            for (int r = 0; r < n; r++)
            {
                double factor = left[r, c];
                if (r == c)
                    continue;
                for (int j = 0; j < n; j++)
                    (left[r, j], right[r, j]) = (left[r, j] - (factor * left[c, j]), right[r, j] - (factor * right[c, j]));
            }
        }

        return right;
    }

    /// <summary>Inputs that share a few directions and differ in size, and their products.</summary>
    private static (float[] Gram, float[] Inputs) Correlated(int seed)
    {
        const int Tokens = 400, Directions = 12;
        var random = new Random(seed);
        double[] directions = [.. Enumerable.Range(0, Directions * Columns).Select(_ => TinyModel.Normal(random))];
        double[] sizes = [.. Enumerable.Range(0, Columns).Select(_ => Math.Exp(TinyModel.Normal(random)))];
        var inputs = new float[Tokens * Columns];
        for (int t = 0; t < Tokens; t++)
        {
            double[] strengths = [.. Enumerable.Range(0, Directions).Select(_ => TinyModel.Normal(random))];
            for (int c = 0; c < Columns; c++)
                inputs[(t * Columns) + c] = (float)(sizes[c] * ((0.5 * TinyModel.Normal(random)) + Enumerable.Range(0, Directions).Sum(d => strengths[d] * directions[(d * Columns) + c] / 4)));
        }

        var gram = new float[Columns * Columns];
        for (int i = 0; i < Columns; i++)
        {
            for (int j = 0; j < Columns; j++)
                gram[(i * Columns) + j] = (float)Enumerable.Range(0, Tokens).Sum(t => (double)inputs[(t * Columns) + i] * inputs[(t * Columns) + j]);
        }

        return (gram, inputs);
    }

    private static double OutputError(float[] weights, float[] restored, float[] inputs)
    {
        double sum = 0;
        for (int row = 0; row < weights.Length / Columns; row++)
        {
            for (int t = 0; t < inputs.Length / Columns; t++)
            {
                double y = 0;
                for (int c = 0; c < Columns; c++)
                    y += ((double)weights[(row * Columns) + c] - restored[(row * Columns) + c]) * inputs[(t * Columns) + c];
                sum += y * y;
            }
        }

        return sum;
    }

    private static float[] Weights(int rows)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, rows * Columns).Select(_ => (float)(0.05 * TinyModel.Normal(random)))];
    }
}
