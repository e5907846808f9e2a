using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Tests.Voting;

public class VoteTallyTests
{
    /// <summary>Votes as "answer weight"; "-" is a stream without a readable answer. Expected as "answer streams weight confidence".</summary>
    [Theory]
    // Majority: all weights 1, confidence is the share of the votes.
    [InlineData("16 1, 18 1, 16 1", "16 2 2 0.6667; 18 1 1 0.3333")]
    [InlineData("18 1, 16 1", "18 1 1 0.5; 16 1 1 0.5")]
    // Weighted: one sure stream beats two unsure ones.
    [InlineData("16 0.3, 18 0.9, 16 0.3", "18 1 0.9 0.5706; 16 2 0.6 0.3804")]
    // Weighted at two streams breaks the tie that a majority cannot.
    [InlineData("16 0.2, 18 0.8", "18 1 0.8 0.672; 16 1 0.2 0.168")]
    // Equal weights: more streams first, then the first answer.
    [InlineData("16 0.5, 18 0.25, 18 0.25", "18 2 0.5 0.3594; 16 1 0.5 0.3594")]
    [InlineData("16 0.5, 18 0.5", "16 1 0.5 0.375; 18 1 0.5 0.375")]
    // One stream: the verifier's probability. Streams that agree make each other surer.
    [InlineData("16 0.7", "16 1 0.7 0.7")]
    [InlineData("16 0.7, 16 0.7", "16 2 1.4 0.91")]
    // Unreadable answers do not vote, and a weight of 0 counts for nothing.
    [InlineData("- 1, 16 0.4, - 0.9", "16 1 0.4 0.4")]
    [InlineData("16 0, 18 0", "16 1 0 0; 18 1 0 0")]
    [InlineData("- 1", "")]
    // Case is ignored; the first writing stays.
    [InlineData("Yes 1, no 1, yes 1", "Yes 2 2 0.6667; no 1 1 0.3333")]
    public void Votes_are_counted_as_in_the_table(string votes, string expected)
    {
        VoteTally tally = new();
        foreach (string vote in votes.Split(", "))
        {
            string[] parts = vote.Split(' ');
            tally.Add(parts[0] == "-" ? null : parts[0], double.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture));
        }

        IEnumerable<string> table = tally.Votes().Select(v => string.Create(
            System.Globalization.CultureInfo.InvariantCulture, $"{v.Text} {v.Streams} {Math.Round(v.Weight, 4)} {Math.Round(v.Confidence, 4)}"));
        Assert.Equal(expected, string.Join("; ", table));
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(-0.1)]
    [InlineData(1.1)]
    public void A_weight_is_a_probability(double weight) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new VoteTally().Add("16", weight));

    [Fact]
    public void Confidences_of_any_vote_sum_to_the_probability_that_a_stream_is_right()
    {
        Random random = new(5);
        for (int round = 0; round < 200; round++)
        {
            VoteTally tally = new();
            double allWrong = 1;
            for (int stream = 0; stream < 1 + round % 9; stream++)
            {
                double weight = random.NextDouble();
                allWrong *= 1 - weight;
                tally.Add(((char)('a' + random.Next(4))).ToString(), weight);
            }

            Assert.Equal(1 - allWrong, tally.Votes().Sum(v => v.Confidence), 9);
        }
    }
}
