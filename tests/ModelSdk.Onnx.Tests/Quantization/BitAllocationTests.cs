using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Onnx.Tests.Quantization;

public sealed class BitAllocationTests
{
    [Fact]
    public void The_choice_is_that_of_trying_everything()
    {
        var random = new Random(4);
        for (int trial = 0; trial < 60; trial++)
        {
            List<IReadOnlyList<FormatChoice>> linears = Random(random, 6);
            long least = linears.Sum(l => l.Min(c => c.Bytes)), most = linears.Sum(l => l.Max(c => c.Bytes));
            long budget = least + (long)(random.NextDouble() * 1.1 * (most - least));

            int[] chosen = BitAllocation.Solve(linears, budget)!;

            Assert.True(Bytes(linears, chosen) <= budget);
            Assert.Equal(Exhaustive(linears, budget), Error(linears, chosen), 9);
            Assert.Equal(chosen, BitAllocation.Solve(linears, budget));
        }
    }

    [Fact]
    public void Sizes_without_a_common_unit_keep_the_budget()
    {
        // 2^40 bytes in steps of one byte do not fit a table: sizes are rounded up, so a little of the budget may be left.
        List<IReadOnlyList<FormatChoice>> linears =
        [
            .. Enumerable.Range(0, 40).Select(i => (IReadOnlyList<FormatChoice>)
            [
                new(WeightFormat.Int2, 1_000_000_007 + i, 9 + (i % 7)),
                new(WeightFormat.Int4, 2_000_000_011 + (3 * i), 2 + (i % 3)),
                new(WeightFormat.Int8, 4_000_000_007 + (7 * i), 0.1),
            ]),
        ];
        const long Budget = 70_000_000_001;

        int[] chosen = BitAllocation.Solve(linears, Budget)!;

        long used = Bytes(linears, chosen);
        Assert.InRange(used, Budget - 2_100_000_000, Budget);
    }

    [Fact]
    public void More_bytes_never_leave_more_error()
    {
        List<IReadOnlyList<FormatChoice>> linears = Random(new Random(8), 12);
        long least = linears.Sum(l => l.Min(c => c.Bytes)), most = linears.Sum(l => l.Max(c => c.Bytes));
        double[] errors = [.. Enumerable.Range(0, 40).Select(i => Error(linears, BitAllocation.Solve(linears, least + ((most - least) * i / 39))!))];

        Assert.Equal(errors.OrderDescending(), errors);
        Assert.Equal(linears.Sum(l => l.Min(c => c.Error)), errors[^1], 9);
    }

    [Fact]
    public void A_budget_below_the_smallest_formats_is_refused() => Assert.Null(BitAllocation.Solve(Random(new Random(1), 3), 10));

    private static List<IReadOnlyList<FormatChoice>> Random(Random random, int count)
    {
        var linears = new List<IReadOnlyList<FormatChoice>>();
        for (int i = 0; i < count; i++)
        {
            long weights = 1024 * random.Next(1, 40);
            double error = random.NextDouble();
            linears.Add(
            [
                new(WeightFormat.Int2, weights / 4, error),
                new(WeightFormat.Int4, weights / 2, error * (0.02 + (0.2 * random.NextDouble()))),
                new(WeightFormat.Int8, weights, error * 0.01 * random.NextDouble()),
            ]);
        }

        return linears;
    }

    private static double Exhaustive(List<IReadOnlyList<FormatChoice>> linears, long budget)
    {
        double best = double.PositiveInfinity;
        int[] chosen = new int[linears.Count];
        for (int code = 0; code < Math.Pow(3, linears.Count); code++)
        {
            for (int i = 0, rest = code; i < chosen.Length; i++, rest /= 3)
                chosen[i] = rest % 3;
            if (Bytes(linears, chosen) <= budget)
                best = Math.Min(best, Error(linears, chosen));
        }

        return best;
    }

    private static long Bytes(List<IReadOnlyList<FormatChoice>> linears, int[] chosen) => linears.Zip(chosen, (l, c) => l[c].Bytes).Sum();

    private static double Error(List<IReadOnlyList<FormatChoice>> linears, int[] chosen) => linears.Zip(chosen, (l, c) => l[c].Error).Sum();
}
