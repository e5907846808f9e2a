namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>How the scale of a group of numbers is chosen.</summary>
internal enum RangeSetting
{
    /// <summary>The greatest magnitude is the greatest code.</summary>
    MinMax,

    /// <summary>The least sum of squared errors (paper 6); numbers beyond the range are clipped.</summary>
    LeastSquares,
}

/// <summary>Simulated symmetric quantization with one scale for a group of numbers, such as an output channel of a linear, for which ONNX Runtime has no kernel.</summary>
internal static class ChannelRounding
{
    private const int Candidates = 80;

    /// <summary>Rounds each row of a matrix.</summary>
    /// <param name="matrix">Row-major [rows, columns].</param>
    /// <param name="columns">Columns.</param>
    /// <param name="bits">2 to 8; codes are -(2^(bits-1) - 1) .. 2^(bits-1) - 1.</param>
    /// <param name="range">How scales are chosen.</param>
    /// <returns>What the codes stand for, [rows, columns].</returns>
    public static float[] Rows(float[] matrix, int columns, int bits, RangeSetting range)
    {
        var rounded = new float[matrix.Length];
        for (int start = 0; start < matrix.Length; start += columns)
        {
            ReadOnlySpan<float> row = matrix.AsSpan(start, columns);
            double scale = Scale(row, bits, range);
            for (int i = 0; i < columns; i++)
            {
                rounded[start + i] = (float)Rounded(row[i], scale, bits);
            }
        }

        return rounded;
    }

    /// <summary>The scale of a group: what a code is multiplied by; 1 where all numbers are 0.</summary>
    /// <param name="values">Numbers.</param>
    /// <param name="bits">2 to 8.</param>
    /// <param name="range">How it is chosen: for least squares, the best of scales from 1/80 to 80/80 of the greatest.</param>
    public static double Scale(ReadOnlySpan<float> values, int bits, RangeSetting range)
    {
        double greatest = 0;
        foreach (float value in values)
        {
            greatest = Math.Max(greatest, Math.Abs(value));
        }

        double whole = greatest > 0 ? greatest / Most(bits) : 1;
        if (range == RangeSetting.MinMax || greatest == 0)
        {
            return whole;
        }

        (double best, double least) = (whole, double.PositiveInfinity);
        for (int candidate = Candidates; candidate > 0; candidate--)
        {
            double scale = whole * candidate / Candidates, error = 0;
            foreach (float value in values)
            {
                double difference = value - Rounded(value, scale, bits);
                error += difference * difference;
            }

            if (error < least)
            {
                (best, least) = (scale, error);
            }
        }

        return best;
    }

    private static int Most(int bits) => (1 << (bits - 1)) - 1;

    private static double Rounded(double value, double scale, int bits) => Math.Clamp(Math.Round(value / scale), -Most(bits), Most(bits)) * scale;
}
