using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// What the error of one column asks of the columns behind it. With H = X^T X of a linear's inputs, the error of quantized weights is
/// tr(E H E^T) = sum_k D_k |w'_k - q_k|^2, where w'_k = w_k + sum_(i before k) (w_i - q_i) U_ik and H = (1 + U) D (1 + U)^T, U strictly
/// upper triangular: this is GPTQ (Frantar et al. 2022) in the form of QuIP's LDLQ, which needs no inverse.
/// </summary>
internal sealed class ErrorFeedback
{
    /// <summary>Added to the diagonal, as a share of its mean: GPTQ's "percdamp".</summary>
    private const double Damping = 0.01;

    /// <summary>Columns that are factored at a time, so that what they share stays in the cache.</summary>
    private const int Panel = 64;

    private readonly float[] _factors;

    private ErrorFeedback(int[] order, float[] factors, float[] costs, float[] diagonal)
    {
        Order = order;
        _factors = factors;
        Costs = costs;
        Diagonal = diagonal;
    }

    /// <summary>Columns in the order in which they are quantized.</summary>
    public int[] Order { get; }

    /// <summary>D: what an error of the k-th column of the order costs.</summary>
    public float[] Costs { get; }

    /// <summary>H's diagonal with its damping, by column: what an error costs that nothing behind it makes up for.</summary>
    public float[] Diagonal { get; }

    /// <summary>U_ik of the k-th column of the order, for i from 0 to k - 1.</summary>
    public ReadOnlySpan<float> Factors(int k) => new(_factors, checked(k * Order.Length), k);

    /// <summary>Factors H.</summary>
    /// <param name="name">Linear, for messages.</param>
    /// <param name="gram">H, symmetric [columns, columns].</param>
    /// <param name="order">Columns in the order in which they will be quantized.</param>
    /// <exception cref="ExportException">MDL4051: H holds NaN or infinity.</exception>
    public static ErrorFeedback Create(string name, ReadOnlySpan<float> gram, int[] order)
    {
        int n = order.Length;
        double mean = 0;
        for (int i = 0; i < n; i++)
            mean += gram[(i * n) + i] / (double)n;
        int bad = gram.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
        if (bad >= 0)
            throw new ExportException(DiagnosticCodes.CalibrationNotFinite, $"The calibration's activations of {name} are not finite: their products of channels {bad / n} and {bad % n} sum to {gram[bad]}. The base is damaged, or its training diverged.");
        if (!(mean > 0))
            mean = 1; // nothing ever flows here: every rounding is as good as the other

        // In reverse order H = L L^T is the ordinary Cholesky factorization; row n-1-k of L belongs to the k-th column of the order.
        var lower = new double[n * (long)n];
        for (int i = 0; i < n; i++)
        {
            int row = order[n - 1 - i];
            for (int j = 0; j <= i; j++)
                lower[((long)i * n) + j] = gram[(row * n) + order[n - 1 - j]];
            lower[((long)i * n) + i] += Damping * mean;
        }

        Factor(lower, n);
        var diagonal = new float[n];
        for (int i = 0; i < n; i++)
            diagonal[i] = (float)(gram[(i * n) + i] + (Damping * mean));
        var factors = new float[n * (long)n];
        var costs = new float[n];
        for (int k = 0; k < n; k++)
        {
            long column = n - 1 - k;
            double pivot = lower[(column * n) + column];
            costs[k] = (float)(pivot * pivot);
            for (int i = 0; i < k; i++)
                factors[((long)k * n) + i] = (float)(lower[((n - 1 - i) * (long)n) + column] / pivot);
        }

        return new ErrorFeedback(order, factors, costs, diagonal);
    }

    /// <summary>Cholesky in place, panel by panel; sums run in a fixed order, so threads do not change the result.</summary>
    private static void Factor(double[] matrix, int n)
    {
        for (int start = 0; start < n; start += Panel)
        {
            int end = Math.Min(start + Panel, n);
            // The panel's own rows first, one after the other; then all rows below them at once.
            for (int row = start; row < end; row++)
                FinishRow(matrix, n, row, start, Math.Min(row, end - 1), row);
            Parallel.For(end, n, row => FinishRow(matrix, n, row, start, end - 1, int.MaxValue));
        }

        static void FinishRow(double[] matrix, int n, int row, int first, int last, int diagonal)
        {
            Span<double> own = matrix.AsSpan().Slice(checked(row * n), n);
            for (int column = first; column <= last; column++)
            {
                ReadOnlySpan<double> other = matrix.AsSpan().Slice(checked(column * n), n);
                double rest = own[column] - FixedOrderSum.Dot(own[..column], other[..column]);
                own[column] = column == diagonal ? Math.Sqrt(Math.Max(rest, double.Epsilon)) : rest / other[column];
            }
        }
    }
}
