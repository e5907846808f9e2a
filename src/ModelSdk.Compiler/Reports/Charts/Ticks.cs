using System.Globalization;

namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>Round numbers for an axis.</summary>
/// <param name="Values">From the first to the last, evenly spaced.</param>
/// <param name="Decimals">Decimals that tell them apart.</param>
internal sealed record Ticks(IReadOnlyList<double> Values, int Decimals)
{
    /// <summary>Lower end of the axis.</summary>
    public double First => Values[0];

    /// <summary>Upper end of the axis.</summary>
    public double Last => Values[^1];

    /// <summary>The text of a value on this axis.</summary>
    public string Text(double value) => value.ToString("N" + Decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    /// <summary>Ticks in steps of 1, 2 or 5 times a power of ten that enclose the range.</summary>
    /// <param name="least">Smallest value to show.</param>
    /// <param name="most">Largest value to show.</param>
    /// <param name="count">About how many steps.</param>
    /// <param name="whole">Whole numbers only, as for steps of a training.</param>
    public static Ticks Around(double least, double most, int count = 5, bool whole = false)
    {
        if (!double.IsFinite(least) || !double.IsFinite(most))
        {
            throw new ArgumentException("An axis needs finite ends.", nameof(least));
        }

        if (most - least < 1e-12 * Math.Max(1, Math.Abs(most)))
        {
            most = least + (least == 0 ? 1 : Math.Abs(least));
        }

        double raw = (most - least) / count;
        int exponent = (int)Math.Floor(Math.Log10(raw));
        double power = Math.Pow(10, exponent);
        double step = (raw / power) switch { <= 1.4 => power, <= 3 => 2 * power, <= 7 => 5 * power, _ => 10 * power };
        if (whole && step < 1)
        {
            (step, power, exponent) = (1, 1, 0);
        }

        int decimals = Math.Max(0, step >= 10 * power * 0.999 ? -exponent - 1 : -exponent);
        long first = (long)Math.Floor((least / step) + 1e-9);
        long last = (long)Math.Ceiling((most / step) - 1e-9);
        return new Ticks([.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => Math.Round((first + i) * step, 12))], decimals);
    }
}
