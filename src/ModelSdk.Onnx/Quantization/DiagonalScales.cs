namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// Factors for the input channels of one linear that leave less error when the scaled weights are rounded, as AWQ does (Lin et al. 2023): W' = W diag(s),
/// x' = x / s. What produces x takes on the 1 / s: rows of up_proj for down_proj (T_u), rows of v_proj for o_proj (T_v), so nothing is left to do at run time.
/// </summary>
internal static class DiagonalScales
{
    /// <summary>Exponents of the channel's root mean square.</summary>
    private static readonly double[] s_activation = [0, 0.25, 0.5, 0.75, 1];

    /// <summary>Exponents of the inverse of the column's root mean square.</summary>
    private static readonly double[] s_weight = [0, 0.25, 0.5];

    /// <summary>Chooses the factors on a grid; all 1 where nothing is better.</summary>
    /// <param name="name">Tensor's name, for messages.</param>
    /// <param name="sample">Rows of the weight that the search looks at, row-major [rows, columns].</param>
    /// <param name="importance">E[x^2] of each column, above 0.</param>
    /// <param name="shared">Columns that must have one factor have one number, 0 to the number of factors less 1; [columns].</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">Columns that share a scale.</param>
    /// <returns>s, one per number of <paramref name="shared"/>: their geometric mean is 1, and they are exact as singles.</returns>
    public static float[] Solve(string name, float[] sample, float[] importance, int[] shared, int bits, int block)
    {
        int columns = importance.Length;
        int factors = shared.Max() + 1;
        var activation = new double[factors];
        var weight = new double[factors];
        for (int c = 0; c < columns; c++)
        {
            activation[shared[c]] += importance[c];
            for (int row = 0; row < sample.Length; row += columns)
                weight[shared[c]] += (double)sample[row + c] * sample[row + c];
        }

        float[] best = [.. Enumerable.Repeat(1f, factors)];
        double least = Error(name, sample, importance, shared, best, bits, block);
        foreach (double a in s_activation)
        {
            foreach (double b in s_weight)
            {
                float[] trial = Factors(activation, weight, a / 2, b / 2);
                double error = Error(name, sample, importance, shared, trial, bits, block);
                if (error < least)
                    (least, best) = (error, trial);
            }
        }

        return best;
    }

    private static float[] Factors(double[] activation, double[] weight, double up, double down)
    {
        // A channel without activation or without weights asks for nothing.
        double[] logs = [.. activation.Zip(weight, (a, w) => a > 0 && w > 0 ? (up * Math.Log(a)) - (down * Math.Log(w)) : double.NaN)];
        double[] known = [.. logs.Where(double.IsFinite)];
        double mean = known.Length > 0 ? known.Average() : 0;
        return [.. logs.Select(l => double.IsFinite(l) ? (float)Math.Exp(Math.Clamp(l - mean, -5, 5)) : 1f)];
    }

    /// <summary>sum E[x^2] (w - w_rounded)^2 with scaled weights, in the original's units.</summary>
    private static double Error(string name, float[] sample, float[] importance, int[] shared, float[] factors, int bits, int block)
    {
        int columns = importance.Length;
        var scaled = new float[sample.Length];
        for (int i = 0; i < sample.Length; i++)
            scaled[i] = sample[i] * factors[shared[i % columns]];
        float[] weighting = [.. importance.Select((h, c) => h / (factors[shared[c]] * factors[shared[c]]))];
        return RoundingError.Of(name, scaled, weighting, bits, block);
    }
}
