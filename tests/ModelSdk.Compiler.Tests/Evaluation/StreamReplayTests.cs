using ModelSdk.Compiler.Evaluation;
using ModelSdk.Runtime;

namespace ModelSdk.Compiler.Tests.Evaluation;

public sealed class StreamReplayTests
{
    private static readonly VotingOptions Majority = new() { Weighted = false };

    [Fact]
    public void Without_a_policy_all_streams_run_to_their_ends()
    {
        RecordedStream[] streams = [new(10, "1", 0.2, false), new(20, "2", 0.9, true), new(30, "1", 0.2, false)];
        Assert.Equal(new VoteOutcome(false, 60), StreamReplay.Vote(streams, Majority));
        Assert.Equal(new VoteOutcome(true, 60), StreamReplay.Vote(streams, VotingOptions.Default));
    }

    [Fact]
    public void A_majority_tie_goes_to_the_first_stream_and_not_to_the_first_that_ends()
    {
        RecordedStream[] streams = [new(30, "1", 1, true), new(10, "2", 1, false)];
        Assert.True(StreamReplay.Vote(streams, Majority).Right);
    }

    [Fact]
    public void A_stream_without_an_answer_has_no_vote_but_costs_its_tokens()
    {
        RecordedStream[] streams = [new(400, null, 0.9, false), new(10, "2", 0.1, true)];
        Assert.Equal(new VoteOutcome(true, 410), StreamReplay.Vote(streams, VotingOptions.Default));
        Assert.False(StreamReplay.Vote([new(400, null, 0.9, false)], VotingOptions.Default).Right);
    }

    [Fact]
    public void A_vote_that_cannot_flip_stops_the_running_streams()
    {
        // Two equal votes of three decide when the second ends, at its 20th token; the third has generated 20 by then.
        RecordedStream[] streams = [new(10, "1", 1, true), new(20, "1", 1, true), new(90, "2", 1, false)];
        VoteOutcome outcome = StreamReplay.Vote(streams, Majority with { StopWhenDecided = 1 });
        Assert.Equal(new VoteOutcome(true, 10 + 20 + 20), outcome);
    }

    [Fact]
    public void Streams_that_wait_never_start_when_the_vote_is_decided()
    {
        RecordedStream[] streams = [new(10, "1", 1, true), new(20, "1", 1, true), new(90, "2", 1, false)];
        Assert.Equal(new VoteOutcome(true, 30), StreamReplay.Vote(streams, Majority with { StopWhenDecided = 1, Concurrency = 1 }));
        Assert.Equal(new VoteOutcome(true, 120), StreamReplay.Vote(streams, Majority with { Concurrency = 1 }));
    }

    [Fact]
    public void Only_policies_that_watch_votes_are_replayed()
    {
        Assert.True(StreamReplay.CanReplay(new VotingOptions { StopWhenDecided = 0.95, Concurrency = 2 }));
        Assert.False(StreamReplay.CanReplay(new VotingOptions { ProbeStable = 2 }));
        Assert.False(StreamReplay.CanReplay(new VotingOptions { DropBelow = 0.5 }));
    }
}
