using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Voting;

public class EarlyStoppingTests
{
    private static readonly SamplingOptions Seeded = new() { Temperature = 1, Seed = 4 };

    /// <summary>Goes on "a.a.a." for ever; an answer that is forced reads 7.</summary>
    private static string[][] Steps => [["\n", "<think>", "a", ".", "a"], ["\n\n", "7", "<end>"]];

    [Theory]
    // Beta(5, 1) lies above one half with 0.969; four of eight that agree decide.
    [InlineData(0.95, 1, 4)]
    [InlineData(0.9, 1, 3)]
    // Certain when the leader has more than all that remain: five to three.
    [InlineData(1.0, 1, 5)]
    [InlineData(0.0, 1, 8)]
    // Two at a time: both of the last pass end in the same step, but the first of them decides.
    [InlineData(0.95, 2, 4)]
    [InlineData(0.95, 0, 8)]
    public async Task No_stream_starts_when_the_vote_is_decided(double threshold, int concurrency, int started)
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7"));

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 8, Voting = new VotingOptions { StopWhenDecided = threshold, Concurrency = concurrency } });

        Assert.Equal("7", result.Text);
        Assert.Equal(started, result.Usage.Streams);
        Assert.Equal(started * 7, result.Usage.GeneratedTokens);
    }

    [Fact]
    public async Task A_decided_vote_stops_streams_that_run()
    {
        // Some answer at once, some think for ever until the budget forces them.
        await using ScriptedModel scripted = await ScriptedModel.Load(
            [["\n", "<think>", "a", "</think>", "\n\n", "7", "<end>"], ["<think>", "x", "y", "z", "y"]]);
        ReasoningRequest Ask(ReasoningRequest r, double threshold) => r with { Streams = 16, Budget = 100, Sampling = Seeded, Voting = new VotingOptions { StopWhenDecided = threshold } };
        ReasoningResult all = await scripted.Answer(r => Ask(r, 0));

        ReasoningResult early = await scripted.Answer(r => Ask(r, 0.9));

        Assert.Equal(all.Text, early.Text);
        Assert.Equal(3, early.Votes[0].Streams);
        Assert.Equal(16, early.Usage.Streams);
        // The others stopped in the pass in which those answers ended: <think> a </think>, a blank line and a digit.
        Assert.InRange(early.Usage.GeneratedTokens, 16 * 5, 16 * 6);
        Assert.True(all.Usage.GeneratedTokens > 300);
    }

    [Fact]
    public async Task A_stream_that_is_unsure_is_dropped()
    {
        // One way is certain but for its first token; the other is at even odds twice, then goes on for ever.
        string[][] script = [["\n", "<think>", "a", "b", "c", "</think>", "\n\n", "7", "<end>"], ["<think>", "d", "e", "x", "y", "x"], ["d", "f", "x"]];
        await using ScriptedModel scripted = await ScriptedModel.Load(script);
        ReasoningRequest Ask(ReasoningRequest r, double? below) => r with { Streams = 12, Budget = 60, Sampling = Seeded, Voting = new VotingOptions { DropBelow = below, DropWindow = 2 } };
        ReasoningResult all = await scripted.Answer(r => Ask(r, null));
        Assert.Equal(12, all.Votes.Sum(v => v.Streams));

        ReasoningResult dropped = await scripted.Answer(r => Ask(r, 0.7));

        int kept = Assert.Single(dropped.Votes).Streams;
        Assert.InRange(kept, 1, 11);
        Assert.Equal((12, "7"), (dropped.Usage.Streams, dropped.Text));
        // <think>, then 0.5 twice.
        Assert.Equal((12 - kept) * 3 + kept * 7, dropped.Usage.GeneratedTokens);
        Assert.Equal((12 - kept) * 61 + kept * 7, all.Usage.GeneratedTokens);
    }

    [Fact]
    public async Task The_last_stream_without_a_vote_is_never_dropped()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(
            [["\n", "<think>", "d", "e", "x", "y", "x"], ["d", "f", "x"], ["<think>", "g", "h", "x"], ["g", "i", "x"], ["\n\n", "7", "<end>"]]);

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 4, Budget = 20, Sampling = Seeded, Voting = new VotingOptions { DropBelow = 0.7, DropWindow = 2 } });

        Assert.Equal(("7", 1), (result.Text, Assert.Single(result.Votes).Streams));
        // Three were dropped when their window was full, one went on to its budget.
        Assert.Equal(20 + 3 * 3, result.Usage.ReasoningTokens);
    }

    [Theory]
    [InlineData(1, "a.", 3, 0)]
    [InlineData(2, "a.a.", 5, 1)]
    [InlineData(3, "a.a.a.", 7, 2)]
    public async Task A_stable_answer_ends_the_reasoning(int times, string reasoning, int reasoningTokens, int probeTokens)
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(Steps);

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 2, Budget = 60, Voting = new VotingOptions { ProbeStable = times } });

        Assert.Equal((reasoning, "7", FinishReason.Stable), (result.Reasoning, result.Text, result.Finish));
        Assert.True(result.Usage.Forced);
        Assert.Equal((2 * reasoningTokens, 2, 2 * probeTokens), (result.Usage.ReasoningTokens, result.Usage.AnswerTokens, result.Usage.ProbeTokens));
        Assert.Equal(2 * (reasoningTokens + 1 + probeTokens), result.Usage.GeneratedTokens);
    }

    [Fact]
    public async Task A_single_stream_may_be_probed_while_it_streams()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(Steps);
        ReasoningRequest request = ReasoningRequest.FromQuestion("q") with { Budget = 60, Voting = new VotingOptions { ProbeStable = 2 } };
        List<ReasoningUpdate> updates = [];
        await foreach (ReasoningUpdate update in scripted.Model.StreamAsync(request, TestContext.Current.CancellationToken))
            updates.Add(update);

        ReasoningResult result = updates[^1].Completed!;
        Assert.Equal(("a.a.", "7", FinishReason.Stable), (result.Reasoning, result.Text, result.Finish));
        Assert.Equal((1, 5, 1), (result.Usage.Streams, result.Usage.ReasoningTokens, result.Usage.ProbeTokens));
        Assert.Null(result.Confidence);
        Assert.Empty(result.Votes);
        Assert.Equal(result.Reasoning, string.Concat(updates.Where(u => u.Kind == UpdateKind.Reasoning).Select(u => u.Text)));
        Assert.Equal(result.Text, string.Concat(updates.Where(u => u.Kind == UpdateKind.Answer).Select(u => u.Text)));
        Assert.True(updates.Count > 3);
    }

    [Fact]
    public async Task Probes_that_do_not_settle_change_nothing_but_their_cost()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(Steps);
        ReasoningResult plain = await scripted.Answer(r => r with { Streams = 3, Budget = 31 });

        ReasoningResult probed = await scripted.Answer(r => r with { Streams = 3, Budget = 31, Voting = new VotingOptions { ProbeStable = 99 } });

        Assert.Equal((plain.Text, plain.Reasoning, plain.Finish), (probed.Text, probed.Reasoning, probed.Finish));
        Assert.Equal((plain.Usage.ReasoningTokens, plain.Usage.AnswerTokens), (probed.Usage.ReasoningTokens, probed.Usage.AnswerTokens));
        // <think>, then fifteen times "a.": a probe at each period, of one token each.
        Assert.Equal(3 * 15, probed.Usage.ProbeTokens);
        Assert.Equal(plain.Votes, probed.Votes);
    }

    [Fact]
    public async Task A_probe_that_finds_no_answer_never_settles()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([["\n", "<think>", "a", ".", "a"], ["\n\n", "7", "8", "7"]]);

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 2, Budget = 9, Voting = new VotingOptions { ProbeStable = 1 } });

        Assert.Equal(FinishReason.Budget, result.Finish);
        Assert.Equal("787878", result.Text);
    }

    [Fact]
    public async Task Policies_compose()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(Steps);

        ReasoningResult result = await scripted.Answer(r => r with
        {
            Streams = 8,
            Budget = 200,
            Voting = new VotingOptions { StopWhenDecided = 0.95, Concurrency = 1, ProbeStable = 2, DropBelow = 0.5 },
        });

        Assert.Equal(("7", FinishReason.Stable, 4), (result.Text, result.Finish, result.Usage.Streams));
        Assert.Equal(4 * 7, result.Usage.GeneratedTokens);
    }
}
