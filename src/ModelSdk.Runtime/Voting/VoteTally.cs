namespace ModelSdk.Runtime.Voting;

/// <summary>
/// Counts votes. A majority vote gives every vote the weight 1, a weighted vote the verifier's probability that the answer is right (paper, section 5).
/// The heaviest answer wins; equal weights are decided by the number of streams, then by which answer came first.
/// </summary>
public sealed class VoteTally
{
    private readonly List<(string Text, int Streams, double Weight)> _answers = [];
    private double _weight;
    private double _allWrong = 1;

    /// <summary>Streams that voted.</summary>
    public int Voters { get; private set; }

    /// <summary>Adds a stream's vote. Answers that differ only in case are the same.</summary>
    /// <param name="answer">The normalised answer (<see cref="AnswerNormalizer"/>); null or empty = the stream gave none that can be read and does not vote.</param>
    /// <param name="weight">Weight of the vote, 0 to 1.</param>
    public void Add(string? answer, double weight = 1)
    {
        if (!(weight >= 0 && weight <= 1))
            throw new ArgumentOutOfRangeException(nameof(weight), weight, "A weight is a probability, 0 to 1.");
        if (string.IsNullOrEmpty(answer))
            return;
        Voters++;
        _weight += weight;
        _allWrong *= 1 - weight;
        int index = _answers.FindIndex(a => Same(a.Text, answer));
        if (index < 0)
            _answers.Add((answer, 1, weight));
        else
            _answers[index] = _answers[index] with { Streams = _answers[index].Streams + 1, Weight = _answers[index].Weight + weight };
    }

    /// <summary>The different answers, the winner first; empty when nobody voted. Confidence as <see cref="Vote"/> documents.</summary>
    public IReadOnlyList<Vote> Votes() =>
    [
        // The sort is stable: of equal answers the first stays first.
        .. _answers.OrderByDescending(a => a.Weight).ThenByDescending(a => a.Streams).Select(a => new Vote(a.Text, a.Streams, a.Weight, Confidence(a.Weight))),
    ];

    /// <summary>Whether two normalised answers are the same; case is ignored.</summary>
    internal static bool Same(string? a, string? b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    private double Confidence(double weight) => _weight == 0 ? 0 : weight / _weight * (1 - _allWrong);
}
