using ModelSdk.Compiler.Evaluation;

namespace ModelSdk.Compiler.Tests.Evaluation;

public sealed class StatisticsTests
{
    [Fact]
    public void Wilson_gives_the_published_interval()
    {
        // Newcombe (1998), table I: 81 of 263 and 0 of 20.
        (double low, double high) = Statistics.Wilson(81, 263);
        Assert.Equal((0.2553, 0.3662), (Math.Round(low, 4), Math.Round(high, 4)));
        (low, high) = Statistics.Wilson(0, 20);
        Assert.Equal((0.0, 0.1611), (low, Math.Round(high, 4)));
        Assert.Equal((0, 1), Statistics.Wilson(0, 0));
    }

    [Fact]
    public void Deviation_is_that_of_a_sample()
    {
        Assert.Equal(1, Statistics.Deviation([1, 2, 3]));
        Assert.Equal(0, Statistics.Deviation([5]));
    }

    [Fact]
    public void A_mode_is_summed_up()
    {
        ScoredAnswer[] answers = [new("1", null, 10, true, true), new("2", null, 20, false, true), new("", "x", 60, false, false), new("4", null, 30, true, true)];
        ModeResult result = ModeResult.Of(answers, budget: 20);
        Assert.Equal((0.5, 30, 25, 4, 0.25, 0.5), (result.Accuracy, result.MeanTokens, result.MedianTokens, result.Examples, result.Unfinished, result.WithinBudget));
        Assert.Null(ModeResult.Of(answers).WithinBudget);
    }

    [Fact]
    public void Seeds_are_summed_up_with_their_spread()
    {
        ScoredAnswer right = new("1", null, 10, true, true);
        ScoredAnswer wrong = new("2", null, 30, false, true);
        SampledResult result = SampledResult.Of([[right, right], [right, wrong], [wrong, wrong]], budget: 20);
        Assert.Equal((0.5, 0.5, 20, 10, 0.5), (result.Accuracy, result.Spread, result.MeanTokens, result.TokensSpread, result.WithinBudget));
        Assert.Equal([1, 0.5, 0], result.Accuracies);
    }

    [Fact]
    public void Histograms_cover_every_length_of_both_forms()
    {
        ScoredAnswer[] before = [.. Enumerable.Range(1, 100).Select(t => new ScoredAnswer("", null, t * 3, true, true))];
        ScoredAnswer[] after = [.. before.Select(a => a with { Tokens = a.Tokens / 3 })];
        LengthHistograms lengths = Lengths.Of(before, after);
        Assert.Equal(lengths.Edges.Count - 1, lengths.Sft.Count);
        Assert.Equal((100, 100), (lengths.Sft.Sum(), lengths.Budget!.Sum()));
        Assert.True(lengths.Edges[^1] > 300);
        Assert.Single(lengths.Edges.Zip(lengths.Edges.Skip(1), (a, b) => b - a).Distinct());
        LengthReduction reduction = Lengths.Reduction(before, after, 96, 2.5);
        Assert.Equal((3, 3, 96, 2.5), (reduction.Mean, reduction.Max, reduction.Budget, reduction.Sampled));
    }
}
