using ModelSdk.Runtime;
using ModelSdk.Runtime.Voting;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>A recorded stream.</summary>
/// <param name="Tokens">Generated tokens.</param>
/// <param name="Answer">The normalised answer; null when it has no vote.</param>
/// <param name="Weight">Its weight: the verifier's probability, or 1.</param>
/// <param name="Right">Whether its answer is right.</param>
internal sealed record RecordedStream(int Tokens, string? Answer, double Weight, bool Right);

/// <summary>What a vote gave.</summary>
/// <param name="Right">Whether the winner is right.</param>
/// <param name="Tokens">Generated tokens of all streams.</param>
internal readonly record struct VoteOutcome(bool Right, int Tokens);

/// <summary>
/// Runs the vote of parallel streams over recorded ones. Streams are sampled independently of each other, each with a seed of its own, and a pass gives a
/// token to every running stream; so when one may start, end or be stopped follows from their lengths, and the replay is exact for every policy
/// that watches votes alone. Policies that watch tokens or ask the model (dropping, probes) must run.
/// </summary>
internal static class StreamReplay
{
    /// <summary>Whether a policy can be replayed.</summary>
    public static bool CanReplay(VotingOptions voting) => voting.DropBelow is null && voting.ProbeStable == 0;

    /// <summary>Replays one question.</summary>
    /// <param name="streams">In the order of their numbers.</param>
    /// <param name="voting">Weights, early stopping, concurrency.</param>
    public static VoteOutcome Vote(IReadOnlyList<RecordedStream> streams, VotingOptions voting)
    {
        double Weight(RecordedStream stream) => voting.Weighted ? stream.Weight : 1;
        int concurrency = voting.Concurrency == 0 ? streams.Count : Math.Min(voting.Concurrency, streams.Count);
        VoteTally tally = new();
        List<(int Stream, int Generated)> running = [];
        List<(int Stream, int Generated)> over = [];
        int started = 0;
        bool decided = false;
        while (!decided)
        {
            while (started < streams.Count && running.Count < concurrency)
            {
                running.Add((started++, 0));
            }

            if (running.Count == 0)
            {
                break;
            }

            for (int i = 0; i < running.Count;)
            {
                (int number, int generated) = running[i];
                if (generated < streams[number].Tokens)
                {
                    running[i++] = (number, generated + 1);
                    continue;
                }

                over.Add(running[i]);
                running.RemoveAt(i);
                tally.Add(streams[number].Answer, Weight(streams[number]));
                int remaining = running.Count + streams.Count - started;
                if (voting.StopWhenDecided > 0 && DecidedRule.IsDecided(tally.Votes(), remaining, voting.StopWhenDecided))
                {
                    decided = true;
                    break;
                }
            }
        }

        // Counted in the order of the streams, so that the order in which they ended decides no tie; the surest stream of the winning answer speaks.
        int[] finished = [.. over.Select(o => o.Stream).Order()];
        VoteTally final = new();
        foreach (int number in finished)
        {
            final.Add(streams[number].Answer, Weight(streams[number]));
        }

        IReadOnlyList<Vote> votes = final.Votes();
        RecordedStream winner = votes.Count == 0
            ? streams[finished[0]]
            : finished.Select(n => streams[n]).Where(s => VoteTally.Same(s.Answer, votes[0].Text)).MaxBy(Weight)!;
        return new VoteOutcome(winner.Right, over.Concat(running).Sum(s => s.Generated));
    }
}
