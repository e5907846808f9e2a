using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Tests.Voting;

public class PolicyTests
{
    [Theory]
    // Certain: the leader must be ahead by more than all that remain.
    [InlineData("3 0", 2, 1.0, true)]
    [InlineData("3 1", 2, 1.0, false)]
    [InlineData("3 1", 1, 1.0, true)]
    [InlineData("2.9 1.5", 1, 1.0, true)]
    [InlineData("2.5 1.5", 1, 1.0, false)]
    // Probable: Beta(v1 + 1, v2 + 1) above one half.
    [InlineData("4 0", 8, 0.95, true)]
    [InlineData("3 0", 8, 0.95, false)]
    [InlineData("3 0", 8, 0.9, true)]
    [InlineData("4 1", 8, 0.95, false)]
    [InlineData("6 1", 8, 0.95, true)]
    // Off, nothing said yet, or nothing to come.
    [InlineData("8 0", 1, 0.0, false)]
    [InlineData("", 3, 0.5, false)]
    [InlineData("1 1", 0, 1.0, true)]
    public void A_vote_is_decided_when_it_cannot_or_hardly_change(string weights, int remaining, double threshold, bool decided)
    {
        Vote[] votes = [.. weights.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((w, i) => new Vote($"{i}", 1, double.Parse(w, System.Globalization.CultureInfo.InvariantCulture), 0))];

        Assert.Equal(decided, DecidedRule.IsDecided(votes, remaining, threshold));
    }

    [Fact]
    public void A_vote_that_is_decided_for_certain_never_changes()
    {
        Random random = new(11);
        int decided = 0;
        for (int round = 0; round < 500; round++)
        {
            VoteTally tally = new();
            string? winner = null;
            for (int stream = 0; stream < 8; stream++)
            {
                tally.Add(random.Next(3).ToString(System.Globalization.CultureInfo.InvariantCulture), random.NextDouble());
                if (winner is null && stream < 7 && DecidedRule.IsDecided(tally.Votes(), 7 - stream, 1))
                {
                    winner = tally.Votes()[0].Text;
                    decided++;
                }
            }

            if (winner is not null)
                Assert.Equal(winner, tally.Votes()[0].Text);
        }

        Assert.InRange(decided, 50, 500);
    }

    /// <summary>Integer parameters: P(X > 1/2) of Beta(a, b) is P(Binomial(a + b - 1, 1/2) &lt; a), by hand. Others: closed form of Beta(a, 1).</summary>
    [Theory]
    [InlineData(1, 1, 0.5)]
    [InlineData(3, 3, 0.5)]
    [InlineData(5, 1, 31 / 32.0)]
    [InlineData(4, 2, 26 / 32.0)]
    [InlineData(7, 2, 247 / 256.0)]
    [InlineData(4.5, 1, 0.955805826175840782)]
    [InlineData(400, 300, 0.99992)]
    public void The_posterior_is_the_beta_distribution(double a, double b, double expected) =>
        Assert.Equal(expected, DecidedRule.BetaAboveHalf(a, b), b == 1 || a < 100 ? 8 : 5);

    [Fact]
    public void A_window_falls_below_only_when_it_is_full()
    {
        ConfidenceWindow window = new(3);

        Assert.False(window.FallsBelow(0.1, 0.5));
        Assert.False(window.FallsBelow(0.1, 0.5));
        Assert.True(window.FallsBelow(0.7, 0.5));
        // 0.1 0.7 0.9: mean 0.567; the first 0.1 has left.
        Assert.False(window.FallsBelow(0.9, 0.5));
        Assert.False(window.FallsBelow(0.2, 0.5));
        Assert.True(window.FallsBelow(0.2, 0.5));
    }

    [Fact]
    public void A_tokens_confidence_is_its_probability()
    {
        Assert.Equal(0.25, ConfidenceWindow.OfToken([7, 7, 7, 7], 2), 12);
        Assert.Equal(1, ConfidenceWindow.OfToken([1000, -1000], 0), 12);
        Assert.Equal(0, ConfidenceWindow.OfToken([1000, -1000], 1), 12);
        Assert.Equal(1 / (1 + Math.Exp(-2) + Math.Exp(-3)), ConfidenceWindow.OfToken([1, 3, 0], 1), 12);
        Assert.Equal(Math.Exp(-2) / (1 + Math.Exp(-2) + Math.Exp(-3)), ConfidenceWindow.OfToken([1, 3, 0], 0), 12);
    }

    [Fact]
    public void An_answer_is_stable_when_it_came_often_enough_in_a_row()
    {
        StableAnswer stable = new(2);

        Assert.False(stable.Settles("4"));
        Assert.False(stable.Settles("5"));
        Assert.False(stable.Settles(null));
        Assert.False(stable.Settles("5"));
        Assert.True(stable.Settles("5"));
        Assert.True(new StableAnswer(1).Settles("5"));
        Assert.False(new StableAnswer(1).Settles(null));
    }

    [Theory]
    [InlineData("= 8.", true)]
    [InlineData(".\n", true)]
    [InlineData("?", true)]
    [InlineData(". ", true)]
    [InlineData("8", false)]
    [InlineData("", false)]
    [InlineData(" ", false)]
    public void A_step_ends_with_a_sentence_or_a_line(string text, bool ends) => Assert.Equal(ends, StableAnswer.EndsStep(text));
}
