using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>What one linear would cost in one format.</summary>
/// <param name="Format">The format.</param>
/// <param name="Bytes">Codes and scales.</param>
/// <param name="Error">What its rounding does to the model; of different linears they add up.</param>
internal sealed record FormatChoice(WeightFormat Format, long Bytes, double Error);

/// <summary>Which linears keep more bits: the choice of formats with the least total error within a number of bytes.</summary>
internal static class BitAllocation
{
    /// <summary>Most steps of the table; finer sizes are rounded up to such a step, so that the budget is kept.</summary>
    private const int MaxSteps = 1 << 16;

    /// <summary>Solves the multiple-choice knapsack exactly by dynamic programming; of equal choices the smaller wins.</summary>
    /// <param name="linears">Choices of each linear.</param>
    /// <param name="budget">Bytes of all together.</param>
    /// <returns>The index of each linear's choice; null where even the smallest choices do not fit.</returns>
    public static int[]? Solve(IReadOnlyList<IReadOnlyList<FormatChoice>> linears, long budget)
    {
        // What every linear takes at least is set apart, so that the table holds what there is to choose.
        long[] least = [.. linears.Select(l => l.Min(c => c.Bytes))];
        long spare = budget - least.Sum();
        if (spare < 0)
            return null;
        long unit = Math.Max(1, linears.Zip(least).SelectMany(l => l.First.Select(c => c.Bytes - l.Second)).Aggregate(0L, GreatestCommonDivisor));
        spare = Math.Min(spare, linears.Zip(least).Sum(l => l.First.Max(c => c.Bytes) - l.Second));
        unit = Math.Max(unit, (spare + MaxSteps - 1) / MaxSteps);
        int steps = (int)(spare / unit);

        // errors[s]: the least error of the linears so far in at most s steps.
        double[] errors = new double[steps + 1];
        var chosen = new byte[linears.Count][];
        for (int i = 0; i < linears.Count; i++)
        {
            var next = new double[steps + 1];
            Array.Fill(next, double.PositiveInfinity);
            chosen[i] = new byte[steps + 1];
            foreach ((int index, FormatChoice choice) in linears[i].Index().OrderBy(c => c.Item.Bytes))
            {
                int size = Size(choice, least[i], unit);
                for (int s = size; s <= steps; s++)
                {
                    double error = errors[s - size] + choice.Error;
                    if (error < next[s])
                        (next[s], chosen[i][s]) = (error, (byte)index);
                }
            }

            errors = next;
        }

        var result = new int[linears.Count];
        int left = steps;
        for (int i = linears.Count - 1; i >= 0; i--)
        {
            result[i] = chosen[i][left];
            left -= Size(linears[i][result[i]], least[i], unit);
        }

        return result;
    }

    private static int Size(FormatChoice choice, long least, long unit) => (int)Math.Min(int.MaxValue / 2, (choice.Bytes - least + unit - 1) / unit);

    private static long GreatestCommonDivisor(long a, long b) => b == 0 ? a : GreatestCommonDivisor(b, a % b);
}
