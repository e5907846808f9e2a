namespace ModelSdk.Onnx.Quantization;

/// <summary>What <see cref="BlockQuantizer"/> leaves of a matrix.</summary>
internal static class RoundingError
{
    /// <summary>sum over weights of importance times squared error.</summary>
    /// <param name="name">Tensor's name, for messages.</param>
    /// <param name="weights">Row-major [rows, columns].</param>
    /// <param name="importance">[columns].</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">Columns that share a scale.</param>
    public static double Of(string name, ReadOnlyMemory<float> weights, float[] importance, int bits, int block)
    {
        int columns = importance.Length;
        var data = new byte[weights.Length * (long)bits / 8];
        var scales = new float[weights.Length / block];
        BlockQuantizer.Quantize(name, weights, columns, bits, block, data, scales, importance: importance);
        var rounded = new float[weights.Length];
        BlockQuantizer.Dequantize(data, scales, columns, bits, block, rounded);
        var errors = new double[weights.Length / columns];
        Parallel.For(0, errors.Length, row =>
        {
            ReadOnlySpan<float> before = weights.Span.Slice(row * columns, columns);
            ReadOnlySpan<float> after = rounded.AsSpan(row * columns, columns);
            for (int c = 0; c < columns; c++)
                errors[row] += importance[c] * (double)(before[c] - after[c]) * (before[c] - after[c]);
        });
        return errors.Sum();
    }
}
