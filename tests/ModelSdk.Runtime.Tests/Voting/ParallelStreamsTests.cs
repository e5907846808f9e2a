using System.Runtime.InteropServices;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Tests.Voting;

public class ParallelStreamsTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static readonly SamplingOptions Seeded = new() { Temperature = 1, Seed = 4 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>
    /// Random weights and free text, so that every token of every stream matters: each vote is the whole text of a stream. With keys and values in 8 bits: attention
    /// in fp32 rounds the last bits of one token of many sequences otherwise than of several tokens of one, as a single call runs them.
    /// </summary>
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public async Task Streams_of_a_batch_say_what_they_say_one_at_a_time(int concurrency)
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, cache: CacheFormat.Int8, change: b => b with { Answer = new BundleAnswer("text"), EosTokens = [TinyTokenizer.VocabularySize - 1] });
        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 }, Cancel);
        foreach (SamplingOptions sampling in (SamplingOptions[])[Seeded, Seeded with { Temperature = 0.7, TopP = 0.8, TopK = 40 }, Seeded with { TopK = 1 }])
        {
            ReasoningRequest request = ReasoningRequest.FromQuestion("How many?") with { Mode = TinyBundle.Adapter, Budget = 40, Sampling = sampling };
            VoteTally expected = new();
            List<ReasoningResult> alone = [];
            for (int i = 0; i < 7; i++)
            {
                alone.Add(await model.AnswerAsync(request with { Sampling = sampling.ForStream(i) }, Cancel));
                expected.Add(AnswerNormalizer.Normalize(model.Bundle.Answer, alone[i].Text));
            }

            ReasoningResult voted = await model.AnswerAsync(request with { Streams = 7, Voting = new VotingOptions { Concurrency = concurrency } }, Cancel);

            Assert.Equal(sampling.TopK == 1 ? 1 : 7, voted.Votes.Count);
            Assert.Equal(expected.Votes(), voted.Votes);
            Assert.Equal(alone[0].Text, voted.Text);
            Assert.Equal(alone.Sum(r => r.Usage.GeneratedTokens), voted.Usage.GeneratedTokens);
            Assert.Equal((7, alone[0].Usage.PromptTokens), (voted.Usage.Streams, voted.Usage.PromptTokens));
        }
    }

    [Fact]
    public async Task The_majority_wins_and_every_stream_is_counted()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7", "8", "9"));
        Dictionary<string, int> expected = [];
        for (int i = 0; i < 24; i++)
        {
            string answer = (await scripted.Answer(r => r with { Sampling = Seeded.ForStream(i) })).Text;
            expected[answer] = expected.GetValueOrDefault(answer) + 1;
        }

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 24, Sampling = Seeded });

        Assert.Equal(3, expected.Count);
        Assert.Equal(expected.OrderByDescending(e => e.Value).First().Key, result.Text);
        Assert.Equal(expected, result.Votes.ToDictionary(v => v.Text, v => v.Streams));
        Assert.Equal(result.Votes[0].Streams / 24.0, result.Confidence!.Value, 12);
        Assert.Equal("abc", result.Reasoning);
        // <think> a b c </think>, then a blank line and a digit.
        Assert.Equal((24 * 5, 24 * 2, 24), (result.Usage.ReasoningTokens, result.Usage.AnswerTokens, result.Usage.Streams));
        Assert.Equal(FinishReason.Stop, result.Finish);
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_vote_at_any_concurrency()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("6", "7", "8", "9"));
        List<string> votes = [];
        List<int> passes = [];
        foreach (int concurrency in (int[])[0, 1, 2, 5, 16, 99])
        {
            ReasoningResult result = await scripted.Answer(r => r with { Streams = 16, Sampling = Seeded, Voting = new VotingOptions { Concurrency = concurrency } });
            votes.Add($"{result.Text}: {string.Join(", ", result.Votes)} {result.Usage with { Passes = 0 }}");
            if (concurrency is 1 or 16)
                passes.Add(result.Usage.Passes);
        }

        Assert.Single(votes.Distinct());
        // All streams are equally long: side by side they take the passes of one.
        Assert.Equal(passes[0], 16 * passes[1]);
        HashSet<string> seeds = [];
        for (int seed = 0; seed < 6; seed++)
            seeds.Add(string.Join(", ", (await scripted.Answer(r => r with { Streams = 16, Sampling = Seeded with { Seed = seed } })).Votes));
        Assert.True(seeds.Count > 1);
    }

    [Fact]
    public async Task One_stream_is_the_single_call_and_greedy_streams_are_sampled()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7", "8"));
        ReasoningResult single = await scripted.Answer();
        ReasoningResult one = await scripted.Answer(r => r with { Streams = 1, Voting = new VotingOptions { StopWhenDecided = 0.9, DropBelow = 0.9 } });

        Assert.Equal((single.Text, single.Usage, single.Finish), (one.Text, one.Usage, one.Finish));
        Assert.Null(one.Confidence);
        Assert.Empty(one.Votes);
        Assert.Null(one.Routing);

        ReasoningResult sampled = await scripted.Answer(r => r with { Streams = 32 });
        Assert.Equal(2, sampled.Votes.Count);
        Assert.Equal(VotingOptions.DefaultTemperature, SamplingOptions.Greedy.ForStream(0).Temperature);
        Assert.Equal(64, Enumerable.Range(0, 64).Select(i => Seeded.ForStream(i).Seed).Distinct().Count());
        Assert.Equal(Seeded, Seeded.ForStream(0));
    }

    [Fact]
    public async Task A_hard_budget_holds_for_each_stream()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless);

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 5, Budget = 10 });

        Assert.Equal("xyzxyzxyz", result.Reasoning);
        Assert.Equal(("7", FinishReason.Budget, true), (result.Text, result.Finish, result.Usage.Forced));
        Assert.Equal((50, 5, 10), (result.Usage.ReasoningTokens, result.Usage.AnswerTokens, result.Usage.Budget!.Value));
        Assert.Equal(new Vote("7", 5, 5, 1), Assert.Single(result.Votes));
    }

    [Fact]
    public async Task Unreadable_and_cut_answers_do_not_vote()
    {
        await using ScriptedModel mixed = await ScriptedModel.Load(ScriptedModel.Voter("7", "x"));
        ReasoningResult some = await mixed.Answer(r => r with { Streams = 12, Sampling = Seeded });
        Assert.Equal("7", some.Text);
        Assert.InRange(Assert.Single(some.Votes).Streams, 1, 11);

        await using ScriptedModel none = await ScriptedModel.Load(ScriptedModel.Voter("x"));
        ReasoningResult unread = await none.Answer(r => r with { Streams = 3 });
        Assert.Equal(("x", 0.0), (unread.Text, unread.Confidence!.Value));
        Assert.Empty(unread.Votes);

        await using ScriptedModel endless = await ScriptedModel.Load(ScriptedModel.Endless);
        ReasoningResult cut = await endless.Answer(r => r with { Streams = 3, MaxTokens = 9 });
        Assert.Equal(("", FinishReason.MaxTokens, 27), (cut.Text, cut.Finish, cut.Usage.GeneratedTokens));
        Assert.Empty(cut.Votes);
    }

    [Fact]
    public async Task A_full_context_ends_only_the_stream_that_fills_it()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(
            [["\n", "<think>", "a", "</think>", "\n\n", "7", "<end>"], ["<think>", "x", "y", "z", "y"]],
            context: 64);

        ReasoningResult result = await scripted.Answer(r => r with { Streams = 16, Sampling = Seeded });

        // Both kinds answer 7: those that end by themselves, and those that the context forces.
        Assert.Equal(16, Assert.Single(result.Votes).Streams);
        int room = 64 - result.Usage.PromptTokens - 2 - 6;
        int forced = (result.Usage.ReasoningTokens - 16 * 3) / (room - 3);
        Assert.InRange(forced, 1, 15);
        Assert.Equal(16 * 3 + forced * (room - 3), result.Usage.ReasoningTokens);
    }

    [Fact]
    public async Task A_stream_of_updates_brings_the_winner_at_the_end()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7", "8"));
        List<ReasoningUpdate> updates = [];
        await foreach (ReasoningUpdate update in scripted.Model.StreamAsync(ReasoningRequest.FromQuestion("q") with { Streams = 4, Sampling = Seeded }, Cancel))
            updates.Add(update);

        ReasoningResult result = updates[^1].Completed!;
        Assert.Equal([(UpdateKind.Reasoning, "abc"), (UpdateKind.Answer, result.Text), (UpdateKind.Answer, "")], updates.Select(u => (u.Kind, u.Text)));
    }

    [Fact]
    public async Task A_conversation_keeps_the_prompt_and_counts_what_the_streams_ran()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7", "8"));
        await using Conversation conversation = scripted.Model.StartConversation();
        ReasoningRequest request = ReasoningRequest.FromQuestion("q") with { Streams = 3, Sampling = Seeded };

        ReasoningResult first = await conversation.AnswerAsync(request, Cancel);
        Assert.Equal(first.Usage.PromptTokens, conversation.CachedTokens);
        // Each stream runs all its tokens but the end of turn; the generation prompt is run once for all.
        long generationPrompt = first.Usage.PromptTokens - first.Usage.EncodedPromptTokens;
        Assert.Equal(generationPrompt + 3 * 7, conversation.TokensRun(TinyBundle.Adapter));

        ReasoningResult second = await conversation.AnswerAsync(request, Cancel);
        Assert.Equal(first.Votes, second.Votes);
        Assert.Equal(0, second.Usage.EncodedPromptTokens);
    }

    [Fact]
    public async Task Cancelling_stops_all_streams_and_leaves_the_model_usable()
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        ReasoningRequest request = RandomBundle.Ask("Go on.", TinyBundle.Adapter, tokens: 200) with { Streams = 1000 };
        Task<ReasoningResult> running = bundle.Model.AnswerAsync(request, stop.Token);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        Assert.Equal(24, (await bundle.Model.AnswerAsync(RandomBundle.Ask("Still there?"), Cancel)).Usage.GeneratedTokens);
    }

    [Fact]
    public async Task Streams_of_several_calls_share_the_model()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7", "8"));
        ReasoningRequest request = ReasoningRequest.FromQuestion("q") with { Streams = 6, Sampling = Seeded };
        ReasoningResult expected = await scripted.Model.AnswerAsync(request, Cancel);

        // More calls than may run at once: a call counts once, however many streams it has.
        ReasoningResult[] results = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => Task.Run(() => scripted.Model.AnswerAsync(request, Cancel))));

        Assert.All(results, result => Assert.Equal(expected.Votes, result.Votes));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Logits_that_are_not_numbers_end_the_call(int streams)
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path);
        BundleManifest manifest = BundleManifest.Read(path);
        BundleTensor scales = manifest.Weights.Tensors.Single(t => t.Name == "lm_head.weight.scales");
        using (FileStream weights = File.OpenWrite(Path.Combine(path, manifest.Weights.File)))
        {
            weights.Position = scales.Offset;
            weights.Write(MemoryMarshal.AsBytes<float>([float.NaN]));
        }

        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, Check = BundleCheck.Lengths }, Cancel);

        InvalidLogitsException error = await Assert.ThrowsAsync<InvalidLogitsException>(
            () => model.AnswerAsync(RandomBundle.Ask("q", TinyBundle.Adapter) with { Streams = streams }, Cancel));

        Assert.Contains(TinyBundle.Adapter, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Values_out_of_range_are_refused()
    {
        foreach (Func<ReasoningRequest, ReasoningRequest> change in (Func<ReasoningRequest, ReasoningRequest>[])
        [
            r => r with { Streams = 0 },
            r => r with { Streams = 1025 },
            r => r with { SwitcherThreshold = 1.5 },
            r => r with { SwitcherThreshold = double.NaN },
            r => r with { Voting = new VotingOptions { StopWhenDecided = -1 } },
            r => r with { Voting = new VotingOptions { DropBelow = 2 } },
            r => r with { Voting = new VotingOptions { DropWindow = 0 } },
            r => r with { Voting = new VotingOptions { ProbeStable = -1 } },
            r => r with { Voting = new VotingOptions { Concurrency = -1 } },
            r => r with { Mode = BundleManifest.AutoMode },
        ])
        {
            InvalidRequestException error = await Assert.ThrowsAsync<InvalidRequestException>(() => bundle.Model.AnswerAsync(change(RandomBundle.Ask("q")), Cancel));
            Assert.Equal("MDL6004", error.Code);
        }
    }
}
