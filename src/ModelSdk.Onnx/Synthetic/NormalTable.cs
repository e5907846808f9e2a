namespace ModelSdk.Onnx.Synthetic;

/// <summary>Standard normal numbers by table: entry i of 65536 is the quantile (i + 1/2) / 65536, so a uniform 16-bit number picks one.</summary>
internal static class NormalTable
{
    /// <summary>The quantiles in ascending order, -4.2 to 4.2.</summary>
    public static float[] Quantiles { get; } = Make();

    /// <summary>Follows dx/dp = sqrt(2 pi) exp(x^2 / 2), the slope of the quantile function, from the median upwards (Runge and Kutta's fourth order).</summary>
    private static float[] Make()
    {
        const int half = 32768;
        const double step = 1.0 / (2 * half);
        var quantiles = new float[2 * half];
        double x = Advance(0, step / 2);
        for (int i = 0; i < half; i++)
        {
            quantiles[half + i] = (float)x;
            quantiles[half - 1 - i] = (float)-x;
            x = Advance(x, step);
        }

        return quantiles;
    }

    private static double Advance(double x, double step)
    {
        double a = Slope(x);
        double b = Slope(x + (step / 2 * a));
        double c = Slope(x + (step / 2 * b));
        double d = Slope(x + (step * c));
        return x + (step / 6 * (a + (2 * b) + (2 * c) + d));
    }

    private static double Slope(double x) => Math.Sqrt(2 * Math.PI) * Math.Exp(x * x / 2);
}
