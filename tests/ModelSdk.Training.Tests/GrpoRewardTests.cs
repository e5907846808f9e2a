using ModelSdk.Manifest;
using ModelSdk.Training.Kernels;

namespace ModelSdk.Training.Tests;

public sealed class GrpoRewardTests
{
    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(75, 0, 1)]        // (1 - m) B
    [InlineData(76, 0, 0.98)]
    [InlineData(100, 0, 0.5)]     // B
    [InlineData(125, 0, 0)]       // (1 + m) B
    [InlineData(126, 0, 0)]
    [InlineData(500, 0, 0)]
    [InlineData(75, 0.2, 1)]
    [InlineData(100, 0.2, 0.6)]
    [InlineData(126, 0.2, 0.2)]
    public void The_barrier_is_1_then_falls_linearly_then_stays_at_the_floor(int length, double floor, double expected) =>
        Assert.Equal(expected, GrpoReward.Barrier(length, 100, 0.25, floor), 1e-12);

    [Fact]
    public void Without_a_budget_length_does_not_matter_and_without_a_margin_the_barrier_is_a_step()
    {
        Assert.Equal(1, GrpoReward.Barrier(100_000, null, 0.25, 0));
        Assert.Equal(1, GrpoReward.Barrier(100, 100, 0, 0));
        Assert.Equal(0, GrpoReward.Barrier(101, 100, 0, 0));
    }

    [Fact]
    public void Nothing_is_sampled_beyond_the_length_at_which_no_reward_is_left()
    {
        var settings = new BudgetForcingSettings { Budgets = new([100]), MaxTokens = 512 };
        Assert.Equal(126, GrpoReward.WorthSampling(100, settings));
        Assert.Equal(0, GrpoReward.Barrier(GrpoReward.WorthSampling(100, settings), 100, 0.25, 0));
        Assert.Equal(512, GrpoReward.WorthSampling(null, settings));
        Assert.Equal(512, GrpoReward.WorthSampling(500, settings));
        Assert.Equal(512, GrpoReward.WorthSampling(100, settings with { Floor = 0.1 }));
        Assert.Equal(512, GrpoReward.WorthSampling(100, settings with { Length = CountedLength.Think }));
    }

    [Fact]
    public void Advantages_are_distances_from_the_groups_mean_over_a_deviation()
    {
        double[][] groups = [[1, 0, 1, 0], [0.5, 0.25, 0.25, 0.25]];
        var byGroup = GrpoReward.Advantages(groups, AdvantageScale.Group);
        var deviation = Math.Sqrt(1.0 / 3);                                 // of 1 0 1 0, with n - 1
        Assert.Equal(0.5 / (deviation + 1e-4), byGroup[0][0], 1e-9);
        Assert.Equal(-0.5 / (deviation + 1e-4), byGroup[0][1], 1e-9);
        Assert.Equal(0.1875 / (0.125 + 1e-4), byGroup[1][0], 1e-9);

        var byBatch = GrpoReward.Advantages(groups, AdvantageScale.Batch);
        var all = groups.SelectMany(g => g).ToArray();
        var whole = Math.Sqrt(all.Sum(r => (r - all.Average()) * (r - all.Average())) / 7);
        Assert.Equal(0.5 / (whole + 1e-4), byBatch[0][0], 1e-9);
        Assert.Equal(0.1875 / (whole + 1e-4), byBatch[1][0], 1e-9);
        Assert.All(byGroup.Concat(byBatch), g => Assert.Equal(0, g.Sum(), 1e-9));
    }

    [Fact]
    public void Groups_of_one_reward_are_flat()
    {
        Assert.True(GrpoReward.IsFlat([0.3, 0.3, 0.3]));
        Assert.True(GrpoReward.IsFlat([1]));
        Assert.True(GrpoReward.IsFlat([]));
        Assert.False(GrpoReward.IsFlat([0.3, 0.3, 0.31]));
    }

    [Fact]
    public void Budgets_tighten_linearly()
    {
        Assert.Equal([1, 0.875, 0.75, 0.625, 0.5], Enumerable.Range(0, 5).Select(s => GrpoReward.TightenFactor(s, 5, 0.5)));
        Assert.Equal(1, GrpoReward.TightenFactor(3, 5, 1));
        Assert.Equal(1, GrpoReward.TightenFactor(0, 1, 0.5));
    }

    [Fact]
    public void Every_question_is_drawn_once_a_pass_with_budgets_from_all_buckets()
    {
        var settings = new BudgetForcingSettings { Budgets = new([64, 96, 128]), StatedShare = 0.75 };
        GrpoDraw[] draws = [.. Enumerable.Range(0, 1000).Select(i => new GrpoSchedule(100, settings, 7).Draw(i, 1))];
        Assert.All(draws.Chunk(100), pass => Assert.Equal(Enumerable.Range(0, 100), pass.Select(d => d.Question).Order()));
        Assert.NotEqual(draws[..100].Select(d => d.Question), draws[100..200].Select(d => d.Question));
        Assert.InRange(draws.Count(d => d.Budget is null), 200, 300);
        Assert.All((int[])[64, 96, 128], b => Assert.InRange(draws.Count(d => d.Budget == b), 200, 300));
        Assert.Equal(1000, draws.Select(d => d.Seed).Distinct().Count());
        Assert.All(Enumerable.Range(0, 20), i => Assert.Contains(new GrpoSchedule(100, settings with { StatedShare = 1 }, 7).Draw(i, 0.5).Budget!.Value, (int[])[32, 48, 64]));
        Assert.NotEqual(draws.Select(d => d.Seed), Enumerable.Range(0, 1000).Select(i => new GrpoSchedule(100, settings, 8).Draw(i, 1).Seed));
    }

    private static PolicyLoss Loss(float old, float? reference, float advantage, double beta = 0.5) => new()
    {
        Targets = [0],
        Old = [old],
        Reference = reference is { } value ? [value] : null,
        Advantages = [advantage],
        Temperature = 1,
        ClipLow = 0.2,
        ClipHigh = 0.28,
        Beta = beta,
        Scale = 1,
    };

    [Fact]
    public void The_distance_to_the_reference_is_k3()
    {
        var (loss, derivative, kl, _) = Loss(-1, -1.5f, 0).Token(0, -1);
        Assert.Equal(Math.Exp(-0.5) + 0.5 - 1, kl, 1e-12);
        Assert.Equal(0.5 * kl, loss, 1e-12);
        Assert.Equal(0.5 * (1 - Math.Exp(-0.5)), derivative, 1e-12);
        Assert.Equal(0, Loss(-1, -1, 0).Token(0, -1).Kl, 1e-12);
        Assert.Equal(0, Loss(-1, null, 0).Token(0, -2).Loss, 1e-12);
    }

    [Theory]
    [InlineData(1, 1.1, false)]
    [InlineData(1, 1.27, false)]
    [InlineData(1, 1.29, true)]      // a good token is not raised further
    [InlineData(1, 0.5, false)]      // but it is brought back
    [InlineData(-1, 0.9, false)]
    [InlineData(-1, 0.79, true)]     // a bad token is not lowered further
    [InlineData(-1, 1.5, false)]
    [InlineData(0, 1.5, false)]
    public void Ratios_are_clipped_only_where_they_went_the_right_way(float advantage, double ratio, bool clipped)
    {
        var loss = Loss(-1, null, advantage);
        var (value, derivative, _, wasClipped) = loss.Token(0, (float)(-1 + Math.Log(ratio)));
        Assert.Equal(clipped, wasClipped);
        Assert.Equal(-Math.Min(ratio * advantage, Math.Clamp(ratio, 0.8, 1.28) * advantage), value, 1e-6);
        Assert.Equal(clipped ? 0 : -advantage * ratio, derivative, 1e-6);
    }

    [Fact]
    public void The_derivative_is_that_of_the_loss()
    {
        var random = new Random(3);
        for (var i = 0; i < 200; i++)
        {
            double logProb = -3 * random.NextDouble();
            var loss = Loss((float)(logProb + (0.6 * (random.NextDouble() - 0.5))), (float)(logProb + random.NextDouble() - 0.5), (float)((4 * random.NextDouble()) - 2));
            double Value(double at) => loss.Token(0, (float)at).Loss;
            var (low, high) = ((float)(logProb - 1e-3), (float)(logProb + 1e-3));
            if (loss.Token(0, low).Clipped == loss.Token(0, high).Clipped)
            {
                Assert.Equal((Value(high) - Value(low)) / ((double)high - low), loss.Token(0, (float)logProb).Derivative, 1e-3);
            }
        }
    }
}
