using Microsoft.Extensions.AI;

using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests;

public class AutoModeTests
{
    private const string Easy = "eeeeeeeeeeeeeeeeeeeeeeee";
    private const string Hard = "hhhhhhhhhhhhhhhhhhhhhhhh";

    private static readonly TinyHeads Heads = new(TinyHeads.CountLetters('e', 'h'));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static ReasoningRequest Ask(string question) => ReasoningRequest.FromQuestion(question) with { Mode = BundleManifest.AutoMode };

    private static Task<ScriptedModel> Load(TinyHeads? heads = null, int adapters = 1, int prefillChunk = 256, Func<BundleManifest, BundleManifest>? change = null) =>
        ScriptedModel.Load([ScriptedModel.Thinker], change: change, heads: heads ?? Heads, adapters: adapters, prefillChunk: prefillChunk);

    [Fact]
    public async Task The_prompt_chooses_the_mode()
    {
        await using ScriptedModel scripted = await Load();

        ReasoningResult easy = await scripted.Model.AnswerAsync(Ask(Easy), Cancel);
        ReasoningResult hard = await scripted.Model.AnswerAsync(Ask(Hard), Cancel);

        Assert.Equal((BundleManifest.BaseMode, BundleManifest.BaseMode, TinyHeads.Threshold), (easy.Mode, easy.Routing!.Mode, easy.Routing.Threshold));
        Assert.InRange(easy.Routing.Score, 0, 0.1);
        Assert.Equal((TinyBundle.Adapter, TinyBundle.Adapter), (hard.Mode, hard.Routing!.Mode));
        Assert.InRange(hard.Routing.Score, 0.9, 1);
        // A mode that is named is not routed.
        Assert.Null((await scripted.Answer(r => r with { Mode = BundleManifest.BaseMode })).Routing);
        Assert.Null((await scripted.Answer()).Routing);
    }

    [Fact]
    public async Task A_call_may_set_the_threshold()
    {
        await using ScriptedModel scripted = await Load();
        double score = (await scripted.Model.AnswerAsync(Ask(Easy), Cancel)).Routing!.Score;

        foreach ((double threshold, string mode) in ((double, string)[])[(0, TinyBundle.Adapter), (score, TinyBundle.Adapter), (score + 1e-9, "base"), (1, "base")])
        {
            ReasoningResult result = await scripted.Model.AnswerAsync(Ask(Easy) with { SwitcherThreshold = threshold }, Cancel);
            Assert.Equal((mode, threshold, score), (result.Mode, result.Routing!.Threshold, result.Routing.Score));
        }
    }

    [Fact]
    public async Task The_best_of_several_adapters_answers()
    {
        await using ScriptedModel scripted = await Load(new TinyHeads(TinyHeads.CountLetters('e', 'h', 'k')), adapters: 2);

        Assert.Equal("base", (await scripted.Model.AnswerAsync(Ask(Easy), Cancel)).Mode);
        Assert.Equal(TinyBundle.Adapter, (await scripted.Model.AnswerAsync(Ask(Hard), Cancel)).Mode);
        Assert.Equal(TinyBundle.Adapter + "2", (await scripted.Model.AnswerAsync(Ask(Hard.Replace('h', 'k')), Cancel)).Mode);
        // However sure it is of the base: with threshold 0 the better adapter answers.
        Assert.Equal(TinyBundle.Adapter + "2", (await scripted.Model.AnswerAsync(Ask(Easy + "kkkk") with { SwitcherThreshold = 0 }, Cancel)).Mode);
    }

    /// <summary>The score against the formula of the paper, in double precision over the embeddings, which are a scripted model's hidden states.</summary>
    [Theory]
    [InlineData(8, 256)]
    [InlineData(8, 16)]
    [InlineData(8, 3)]
    [InlineData(128, 16)]
    [InlineData(1, 5)]
    public async Task The_score_is_the_heads_on_the_running_average_of_chunks(int chunk, int prefillChunk)
    {
        SwitcherHead head = TinyHeads.CountLetters('e', 'h');
        await using ScriptedModel scripted = await Load(new TinyHeads(head, Chunk: chunk), prefillChunk: prefillChunk);
        float[] embedding = TinyBundle.Embedding();
        int size = head.InputSize;
        for (int length = 1; length < 40; length += 3)
        {
            string question = string.Concat(Enumerable.Range(0, length).Select(i => "eh"[i % 5 < 3 ? 0 : 1]));
            int[] tokens = scripted.Model.Loaded.Tokenizer.Encode(scripted.Model.Loaded.Template.Render([new ChatTurn("user", question)], addGenerationPrompt: false));
            double[] average = new double[size];
            foreach ((int[] part, int index) in tokens.Chunk(chunk).Select((part, index) => (part, index)))
            {
                for (int d = 0; d < size; d++)
                {
                    double mean = part.Average(token => embedding[token * size + d]);
                    average[d] = index == 0 ? mean : (1 - TinyHeads.Smoothing) * average[d] + TinyHeads.Smoothing * mean;
                }
            }

            double[] logits = head.Logits([.. average.Select(v => (float)v)]);
            double expected = 1 / (1 + Math.Exp(logits[0] - logits[1]));

            double score = (await scripted.Model.AnswerAsync(Ask(question), Cancel)).Routing!.Score;
            Assert.Equal(expected, score, 4);
        }
    }

    [Fact]
    public async Task Only_the_generation_prompt_is_run_by_the_mode_that_is_chosen()
    {
        await using ScriptedModel scripted = await Load();
        await using Conversation conversation = scripted.Model.StartConversation();
        int generationPrompt = scripted.Model.Loaded.Tokenizer.Encode(scripted.Model.Loaded.Template.GenerationPrompt).Length;

        // Guesses that are wrong are run too.
        ReasoningResult hard = await conversation.AnswerAsync(Ask(Hard) with { DraftTokens = 0 }, Cancel);

        Assert.Equal((hard.Usage.PromptTokens - generationPrompt, 0), (hard.Usage.EncodedPromptTokens, hard.Usage.ReusedPromptTokens));
        Assert.Equal(hard.Usage.PromptTokens - generationPrompt, conversation.TokensRun(BundleManifest.BaseMode));
        Assert.Equal(generationPrompt + hard.Usage.GeneratedTokens, conversation.TokensRun(TinyBundle.Adapter));
    }

    /// <summary>Random weights, so that attention matters: what the switcher's pass encodes is what the base encodes.</summary>
    [Fact]
    public async Task The_answer_is_that_of_the_mode_by_name()
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, heads: new TinyHeads(TinyHeads.Random(3)));
        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 }, Cancel);
        HashSet<string> modes = [];
        foreach (double threshold in (double[])[0, 1])
        {
            ReasoningResult auto = await model.AnswerAsync(RandomBundle.Ask("What is it?", BundleManifest.AutoMode) with { SwitcherThreshold = threshold }, Cancel);
            ReasoningResult named = await model.AnswerAsync(RandomBundle.Ask("What is it?", auto.Mode), Cancel);

            Assert.Equal((named.Text, named.Usage), (auto.Text, auto.Usage));
            modes.Add(auto.Mode);
        }

        Assert.Equal(2, modes.Count);
        Assert.Contains(BundleManifest.BaseMode, modes);
    }

    [Fact]
    public async Task A_conversation_that_goes_on_reads_what_is_new_and_at_most_one_chunk_again()
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, heads: new TinyHeads(TinyHeads.Random(3)));
        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 }, Cancel);
        await using Conversation conversation = model.StartConversation();
        ReasoningRequest request = RandomBundle.Ask("A question that is longer than a few chunks of the switcher.", BundleManifest.AutoMode);
        ReasoningResult first = await conversation.AnswerAsync(request, Cancel);

        ReasoningResult again = await conversation.AnswerAsync(request, Cancel);
        Assert.Equal((first.Text, first.Routing), (again.Text, again.Routing));
        // Passes of 16 tokens remember the average at their ends.
        Assert.InRange(again.Usage.EncodedPromptTokens, 1, 16);
        Assert.Equal(first.Usage.EncodedPromptTokens, again.Usage.EncodedPromptTokens + again.Usage.ReusedPromptTokens);

        // Another mode in between, and a longer conversation: the same as asked afresh.
        await conversation.AnswerAsync(request with { Mode = BundleManifest.BaseMode }, Cancel);
        ReasoningRequest longer = request with { Turns = [.. request.Turns, new ChatTurn("assistant", "So it is."), new ChatTurn("user", "Why, then?")] };
        ReasoningResult shared = await conversation.AnswerAsync(longer, Cancel);
        ReasoningResult fresh = await model.AnswerAsync(longer, Cancel);
        Assert.Equal((fresh.Text, fresh.Mode), (shared.Text, shared.Mode));
        Assert.Equal(fresh.Routing!.Score, shared.Routing!.Score, 5);
        Assert.True(shared.Usage.ReusedPromptTokens > 32);
    }

    [Fact]
    public async Task An_easy_question_is_answered_by_one_stream()
    {
        await using ScriptedModel scripted = await Load();

        ReasoningResult easy = await scripted.Model.AnswerAsync(Ask(Easy) with { Streams = 4 }, Cancel);
        ReasoningResult hard = await scripted.Model.AnswerAsync(Ask(Hard) with { Streams = 4 }, Cancel);
        ReasoningResult named = await scripted.Answer(r => r with { Mode = "base", Streams = 4 });

        Assert.Equal((1, 0), (easy.Usage.Streams, easy.Votes.Count));
        Assert.Equal((4, "42", TinyBundle.Adapter), (hard.Usage.Streams, Assert.Single(hard.Votes).Text, hard.Routing!.Mode));
        Assert.Equal(4, named.Usage.Streams);
    }

    [Fact]
    public async Task Auto_may_be_the_default_mode()
    {
        await using ScriptedModel scripted = await Load(change: b => b with { DefaultMode = BundleManifest.AutoMode });
        using IChatClient chat = scripted.Model.AsChatClient();

        Assert.Equal(TinyBundle.Adapter, (await scripted.Model.AnswerAsync(ReasoningRequest.FromQuestion(Hard), Cancel)).Routing!.Mode);
        Assert.Equal("base", (await chat.GetResponseAsync(Easy, cancellationToken: Cancel)).ModelId);
        Assert.Equal(TinyBundle.Adapter, (await chat.GetResponseAsync(Hard, new ChatOptions { ModelId = "auto" }, Cancel)).ModelId);
        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync(Hard, cancellationToken: Cancel))
            updates.Add(update);
        Assert.Equal(TinyBundle.Adapter, updates[^1].ModelId);
        Assert.Equal(("abc", "42"), (string.Concat(updates.SelectMany(u => u.Contents).OfType<TextReasoningContent>().Select(c => c.Text)), updates.ToChatResponse().Text));
    }

    [Fact]
    public async Task Without_a_switcher_the_error_says_what_to_do()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        InvalidRequestException error = await Assert.ThrowsAsync<InvalidRequestException>(() => scripted.Model.AnswerAsync(Ask(Hard), Cancel));

        Assert.Contains("no", error.Message, StringComparison.Ordinal);
        Assert.Contains("base, arithmetic", error.Message, StringComparison.Ordinal);
        Assert.Contains("\"switcher\"", error.Message, StringComparison.Ordinal);
    }
}
