namespace ModelSdk.Runtime.Voting;

/// <summary>
/// Says when a vote need not go on (<see cref="VotingOptions.StopWhenDecided"/>). Certainly decided: the leader's weight exceeds the
/// runner-up's even if every remaining stream gave the runner-up a full vote. Probably decided: the rule of Adaptive-Consistency (Aggarwal et al., arXiv
/// 2305.11860): with the weights v1, v2 of the first two answers, the share of the first among the two has the posterior Beta(v1 + 1, v2 + 1), and its
/// probability to lie above one half exceeds the threshold. Here v are sums of verifier weights, so unsure streams decide less.
/// </summary>
public static class DecidedRule
{
    /// <summary>Whether the vote may end.</summary>
    /// <param name="votes">The answers so far, as <see cref="VoteTally.Votes"/> orders them.</param>
    /// <param name="remaining">Streams that may still vote: running and waiting.</param>
    /// <param name="threshold">0 = never before the end; 1 = only when it cannot change; between = the posterior probability that suffices.</param>
    public static bool IsDecided(IReadOnlyList<Vote> votes, int remaining, double threshold)
    {
        ArgumentNullException.ThrowIfNull(votes);
        if (remaining <= 0)
            return true;
        if (threshold <= 0 || votes.Count == 0)
            return false;
        double leader = votes[0].Weight;
        double second = votes.Count > 1 ? votes[1].Weight : 0;
        if (leader > second + remaining)
            return true;
        return threshold < 1 && BetaAboveHalf(leader + 1, second + 1) > threshold;
    }

    /// <summary>P(X > 1/2) for X distributed as Beta(a, b), with a >= b >= 1: composite Simpson integration of the density's two halves.</summary>
    internal static double BetaAboveHalf(double a, double b)
    {
        // The constant of the density cancels in the ratio of the halves; dividing by the density's value at its peak keeps powers in range.
        const int steps = 512;
        double peak = a + b > 2 ? (a - 1) / (a + b - 2) : 0.5;
        double scale = LogDensity(peak);
        double below = Integrate(0, 0.5);
        double above = Integrate(0.5, 1);
        return above / (below + above);

        double LogDensity(double x) => (a == 1 ? 0 : (a - 1) * Math.Log(x)) + (b == 1 ? 0 : (b - 1) * Math.Log(1 - x));

        double Integrate(double from, double to)
        {
            double sum = 0;
            for (int i = 0; i <= steps; i++)
            {
                double x = from + (to - from) * i / steps;
                double factor = i is 0 or steps ? 1 : i % 2 == 1 ? 4 : 2;
                sum += factor * Math.Exp(LogDensity(x) - scale);
            }

            return sum * (to - from) / steps / 3;
        }
    }
}
