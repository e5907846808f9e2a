using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests;

public class GenerationTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_mode_has_its_own_weights()
    {
        HashSet<string> texts = [];
        foreach (string mode in bundle.Model.Bundle.Modes)
        {
            ReasoningResult result = await bundle.Model.AnswerAsync(RandomBundle.Ask("What is 2 + 3?", mode), Cancel);
            Assert.Equal(mode, result.Mode);
            Assert.Equal(24, result.Usage.GeneratedTokens);
            texts.Add(result.Text);
        }

        Assert.Equal(3, texts.Count);
    }

    [Fact]
    public async Task Concurrent_calls_give_what_sequential_calls_give()
    {
        ReasoningRequest[] requests = [.. Enumerable.Range(0, 12).Select(i =>
            RandomBundle.Ask($"Question number {i}: {new string('x', 3 * i)}?", bundle.Model.Bundle.Modes.ElementAt(i % 3), tokens: 12 + i))];
        List<string> sequential = [];
        foreach (ReasoningRequest request in requests)
            sequential.Add((await bundle.Model.AnswerAsync(request, Cancel)).Text);

        ReasoningResult[] concurrent = await Task.WhenAll(requests.Select(r => Task.Run(() => bundle.Model.AnswerAsync(r, Cancel))));

        Assert.Equal(sequential, concurrent.Select(r => r.Text));
    }

    [Fact]
    public async Task Prefill_in_pieces_equals_prefill_at_once()
    {
        await using ReasoningModel whole = await ReasoningModel.LoadAsync(bundle.Folder, new ReasoningModelOptions { Threads = 1, PrefillChunk = 256 }, Cancel);
        await using ReasoningModel single = await ReasoningModel.LoadAsync(bundle.Folder, new ReasoningModelOptions { Threads = 1, PrefillChunk = 1 }, Cancel);
        foreach (string mode in bundle.Model.Bundle.Modes)
        {
            ReasoningRequest request = RandomBundle.Ask("A question that is longer than one piece of the prefill, so that there are several.", mode);
            string expected = (await whole.AnswerAsync(request, Cancel)).Text;

            Assert.Equal(expected, (await bundle.Model.AnswerAsync(request, Cancel)).Text);
            Assert.Equal(expected, (await single.AnswerAsync(request, Cancel)).Text);
        }
    }

    [Fact]
    public async Task Weights_that_ONNX_Runtime_copies_answer_in_every_mode()
    {
        await using ReasoningModel model = await ReasoningModel.LoadAsync(bundle.Folder, new ReasoningModelOptions { Threads = 2, ReadWeightsInPlace = false }, Cancel);
        foreach (string mode in model.Bundle.Modes)
        {
            ReasoningRequest request = RandomBundle.Ask("What is 2 + 3?", mode);
            ReasoningResult plain = await model.AnswerAsync(request with { DraftTokens = 0 }, Cancel);

            Assert.Equal(24, plain.Usage.GeneratedTokens);
            Assert.Equal(plain.Text, (await model.AnswerAsync(request, Cancel)).Text);
        }
    }

    [Fact]
    public async Task A_stream_joins_to_the_result()
    {
        ReasoningRequest request = RandomBundle.Ask("Stream this.", TinyBundle.Adapter, tokens: 60);
        ReasoningResult whole = await bundle.Model.AnswerAsync(request, Cancel);
        string answer = "";
        ReasoningResult? completed = null;
        await foreach (ReasoningUpdate update in bundle.Model.StreamAsync(request, Cancel))
        {
            Assert.Null(completed);
            answer += update.Text;
            completed = update.Completed;
        }

        Assert.Equal(whole, completed);
        Assert.Equal(whole.Text, answer);
    }

    [Fact]
    public async Task Leaving_the_loop_of_a_stream_stops_the_generation()
    {
        await foreach (ReasoningUpdate update in bundle.Model.StreamAsync(RandomBundle.Ask("Stop early.", tokens: 150), Cancel))
            break;

        // All calls have returned their caches, so the model answers as before.
        Assert.NotEmpty((await bundle.Model.AnswerAsync(RandomBundle.Ask("Next."), Cancel)).Text);
    }

    [Fact]
    public async Task A_cancelled_token_stops_before_anything_runs()
    {
        using CancellationTokenSource stop = new();
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bundle.Model.AnswerAsync(RandomBundle.Ask("Never."), stop.Token));
    }

    [Fact]
    public async Task The_caller_is_not_blocked_while_the_model_runs()
    {
        using ManualResetEventSlim goOn = new();
        Task<ReasoningResult> running = bundle.Model.RunAsync(
            RandomBundle.Ask("Long one."),
            cache: null,
            (_, _) => Assert.True(goOn.Wait(TimeSpan.FromSeconds(30), Cancel)),
            Cancel);

        // Were the call made on this thread, nobody could let it go on.
        Assert.False(running.IsCompleted);
        goOn.Set();
        await running;
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_text_and_another_seed_another()
    {
        ReasoningRequest Seeded(long seed) => RandomBundle.Ask("Sample this.") with { Sampling = new SamplingOptions { Temperature = 1.5, Seed = seed } };
        string first = (await bundle.Model.AnswerAsync(Seeded(1), Cancel)).Text;

        Assert.Equal(first, (await bundle.Model.AnswerAsync(Seeded(1), Cancel)).Text);
        Assert.NotEqual(first, (await bundle.Model.AnswerAsync(Seeded(2), Cancel)).Text);
    }

    [Fact]
    public async Task A_prompt_that_fills_the_context_is_refused_with_its_sizes()
    {
        ReasoningRequest request = RandomBundle.Ask(new string('a', 300));
        PromptTooLongException error = await Assert.ThrowsAsync<PromptTooLongException>(() => bundle.Model.AnswerAsync(request, Cancel));

        Assert.Equal("MDL6001", error.Code);
        Assert.Equal(256, error.ContextTokens);
        Assert.InRange(error.PromptTokens, 301, 400);
    }

    [Fact]
    public async Task An_unknown_mode_is_refused_with_the_known_ones()
    {
        UnknownAdapterException error = await Assert.ThrowsAsync<UnknownAdapterException>(() => bundle.Model.AnswerAsync(RandomBundle.Ask("?", "poetry"), Cancel));

        Assert.Equal("MDL6002", error.Code);
        Assert.Contains("base, arithmetic, arithmetic2", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<ReasoningRequest> InvalidRequests => new(
        ReasoningRequest.FromQuestion("?") with { Turns = [] },
        ReasoningRequest.FromQuestion("?") with { Turns = [new ChatTurn("tool", "?")] },
        ReasoningRequest.FromQuestion("?") with { Budget = 0 },
        ReasoningRequest.FromQuestion("?") with { MaxTokens = 0 },
        ReasoningRequest.FromQuestion("?") with { DraftTokens = -1 },
        ReasoningRequest.FromQuestion("?") with { DraftTokens = 16 },
        ReasoningRequest.FromQuestion("?") with { Stop = [""] },
        ReasoningRequest.FromQuestion("?") with { Sampling = new SamplingOptions { Temperature = -1 } },
        ReasoningRequest.FromQuestion("?") with { Sampling = new SamplingOptions { Temperature = double.NaN } },
        ReasoningRequest.FromQuestion("?") with { Sampling = new SamplingOptions { Temperature = 1, TopP = 0 } },
        ReasoningRequest.FromQuestion("?") with { Sampling = new SamplingOptions { Temperature = 1, TopK = -1 } });

    [Theory]
    [MemberData(nameof(InvalidRequests))]
    public async Task A_request_out_of_range_is_refused(ReasoningRequest request)
    {
        InvalidRequestException error = await Assert.ThrowsAsync<InvalidRequestException>(() => bundle.Model.AnswerAsync(request, Cancel));

        Assert.Equal("MDL6004", error.Code);
    }

    [Fact]
    public async Task A_system_text_of_the_bundle_is_used_unless_the_request_has_one()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker], change: b => b with { Prompt = b.Prompt with { System = "Be brief." } });
        int question = (await scripted.Answer()).Usage.PromptTokens;
        int own = (await scripted.Answer(r => r with { Turns = [new ChatTurn("system", "Be brief."), .. r.Turns] })).Usage.PromptTokens;
        await using ScriptedModel plain = await ScriptedModel.Load([ScriptedModel.Thinker]);

        Assert.Equal(own, question);
        Assert.True((await plain.Answer()).Usage.PromptTokens < question);
    }

    [Fact]
    public async Task The_default_mode_is_the_bundles()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        Assert.Equal(TinyBundle.Adapter, (await scripted.Answer()).Mode);
        Assert.Equal(BundleManifest.BaseMode, (await scripted.Answer(r => r with { Mode = "base" })).Mode);
    }

    [Theory]
    [InlineData("2", "4")]
    [InlineData("42", "")]
    [InlineData("3", "42")]
    public async Task A_stop_text_ends_the_answer_and_is_not_part_of_it(string stop, string expected)
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        ReasoningResult result = await scripted.Answer(r => r with { Stop = ["b", stop] });

        Assert.Equal("abc", result.Reasoning);
        Assert.Equal(expected, result.Text);
        Assert.Equal(stop == "3" ? FinishReason.Stop : FinishReason.StopText, result.Finish);
    }
}
