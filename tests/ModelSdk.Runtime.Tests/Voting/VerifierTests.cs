using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Voting;

public class VerifierTests
{
    private static readonly SamplingOptions Seeded = new() { Temperature = 1, Seed = 4 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Random weights and free text: each stream has an answer of its own, and the verifier thinks something else of each.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public async Task A_vote_weighs_what_the_verifier_says_of_the_stream_alone(int concurrency, bool confidence)
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, change: b => b with { Answer = new BundleAnswer("text") }, heads: new TinyHeads(Verifier: TinyHeads.RandomVerifier(confidence)));
        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 }, Cancel);
        ReasoningRequest request = ReasoningRequest.FromQuestion("How many?") with { Mode = TinyBundle.Adapter, Budget = 30, Sampling = Seeded };
        List<ReasoningResult> alone = [];
        for (int i = 0; i < 5; i++)
            alone.Add(await model.AnswerAsync(request with { Sampling = Seeded.ForStream(i) }, Cancel));

        ReasoningResult voted = await model.AnswerAsync(request with { Streams = 5, Voting = new VotingOptions { Concurrency = concurrency } }, Cancel);

        Assert.Equal(alone.Select(r => Math.Round(r.Confidence!.Value, 4)).Order(), voted.Votes.Select(v => Math.Round(v.Weight, 4)).Order());
        Assert.True(alone.Max(r => r.Confidence) - alone.Min(r => r.Confidence) > 0.01);
        ReasoningResult surest = alone.MaxBy(r => r.Confidence)!;
        Assert.Equal((surest.Text, surest.Reasoning), (voted.Text, voted.Reasoning));
        Assert.Equal(5, voted.Votes.Count);
    }

    [Fact]
    public async Task The_models_own_confidence_in_its_tokens_adds_to_the_verifiers_logit()
    {
        using TemporaryFolder folder = new();
        SequenceConfidence confidence = default;
        double[] probabilities = new double[2];
        for (int i = 0; i < 2; i++)
        {
            string path = TinyBundle.Random(Path.Combine(folder.Path, $"{i}"), change: b => b with { Answer = new BundleAnswer("text") }, heads: new TinyHeads(Verifier: TinyHeads.RandomVerifier(confidence: i == 1)));
            await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 }, Cancel);
            ReasoningRequest request = ReasoningRequest.FromQuestion("How many?") with { Mode = TinyBundle.Adapter, MaxTokens = 30, Sampling = Seeded };
            probabilities[i] = (await model.AnswerAsync(request, Cancel)).Confidence!.Value;
            int[] prompt = model.Loaded.Tokenizer.Encode(model.Loaded.Template.Render([new ChatTurn("user", "How many?")], addGenerationPrompt: false));
            using BatchDecoder batch = model.Loaded.Batch(1, rows: 2, workers: 1, verified: true);
            BatchOptions options = new(model.Loaded.Tokenizer.Encode(model.Loaded.Template.GenerationPrompt), Seeded, 30);
            BatchSequence sequence = batch.Run([new BatchPrompt(prompt, 1, null, (ulong)Seeded.Seed!.Value)], options, null, Cancel)[0];

            // Sampled at temperature 1, so that the recorded log probabilities are those meant here.
            confidence = sequence.Confidence;
            Assert.Equal(sequence.LogProbs.Min(), confidence.Least, 4);
            Assert.Equal(sequence.LogProbs.Average(), confidence.Mean, 4);
            Assert.Equal(probabilities[i], sequence.Score!.Value, 4);
        }

        double Logit(double p) => Math.Log(p / (1 - p));
        Assert.Equal((TinyHeads.Least * confidence.Least) + (TinyHeads.Mean * confidence.Mean), Logit(probabilities[1]) - Logit(probabilities[0]), 2);
        Assert.NotEqual(probabilities[0], probabilities[1], 2);
    }

    [Fact]
    public async Task One_stream_has_the_verifiers_probability_as_its_confidence()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.8)));

        ReasoningResult one = await scripted.Answer();
        ReasoningResult three = await scripted.Answer(r => r with { Streams = 3 });
        ReasoningResult majority = await scripted.Answer(r => r with { Streams = 3, Voting = new VotingOptions { Weighted = false } });
        ReasoningResult unjudged = await scripted.Answer(r => r with { Voting = new VotingOptions { Weighted = false } });
        ReasoningResult direct = await scripted.Answer(r => r with { Mode = BundleManifest.BaseMode });

        Assert.Equal(0.8, one.Confidence!.Value, 5);
        Assert.Equal(("7", 1), (Assert.Single(one.Votes).Text, one.Votes[0].Streams));
        Assert.Equal(1 - Math.Pow(0.2, 3), three.Confidence!.Value, 5);
        Assert.Equal(2.4, three.Votes[0].Weight, 5);
        Assert.Equal((3.0, 1.0), (majority.Votes[0].Weight, majority.Confidence!.Value));
        Assert.Null(unjudged.Confidence);
        Assert.Null(direct.Confidence);
    }

    [Fact]
    public async Task An_answer_that_cannot_be_read_is_not_judged()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("x"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.8)));

        ReasoningResult result = await scripted.Answer();

        Assert.Equal(("x", 0.0), (result.Text, result.Confidence!.Value));
        Assert.Empty(result.Votes);
    }

    [Fact]
    public async Task Verifying_leaves_the_conversation_as_it_was()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.8)));
        await using Conversation conversation = scripted.Model.StartConversation();
        ReasoningRequest request = ReasoningRequest.FromQuestion("q");

        ReasoningResult first = await conversation.AnswerAsync(request, Cancel);
        Assert.Equal(first.Usage.PromptTokens + first.Usage.GeneratedTokens, conversation.CachedTokens);
        ReasoningResult second = await conversation.AnswerAsync(request, Cancel);

        Assert.Equal((first.Text, first.Confidence, 0), (second.Text, second.Confidence, second.Usage.EncodedPromptTokens));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_full_context_keeps_room_for_the_verification_prompt(int streams)
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless, context: 96, heads: new TinyHeads(Verifier: TinyHeads.Constant(0.8)));
        int verification = scripted.Model.Loaded.Tokenizer.Encode(TinyHeads.VerifierPrompt).Length;

        ReasoningResult result = await scripted.Answer(r => r with { Streams = streams });

        Assert.Equal(("7", FinishReason.Context), (result.Text, result.Finish));
        Assert.Equal(1 - Math.Pow(0.2, streams), result.Confidence!.Value, 5);
        Assert.Equal(streams * (96 - verification - result.Usage.PromptTokens - 2 - 6), result.Usage.ReasoningTokens);
        PromptTooLongException error = await Assert.ThrowsAsync<PromptTooLongException>(
            () => scripted.Model.AnswerAsync(ReasoningRequest.FromQuestion(new string('q', 96 - verification - result.Usage.PromptTokens)), Cancel));
        Assert.Equal(96, error.ContextTokens);
    }

    [Fact]
    public async Task A_verdict_that_is_not_a_number_is_an_error()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Voter("7"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.8)));

        InvalidLogitsException error = Assert.Throws<InvalidLogitsException>(() => scripted.Model.Loaded.Verifier(1)!.Probability(float.NaN, 12, default));

        Assert.Contains(TinyBundle.Adapter, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, scripted.Model.Loaded.Verifier(1)!.Probability(float.PositiveInfinity, 12, default));
        Assert.Null(scripted.Model.Loaded.Verifier(0));
    }

    [Fact]
    public async Task Early_stopping_counts_the_verifiers_weights()
    {
        await using ScriptedModel sure = await ScriptedModel.Load(ScriptedModel.Voter("7"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.99)));
        await using ScriptedModel unsure = await ScriptedModel.Load(ScriptedModel.Voter("7"), heads: new TinyHeads(Verifier: TinyHeads.Constant(0.5)));
        ReasoningRequest Ask(ReasoningRequest r) => r with { Streams = 16, Voting = new VotingOptions { StopWhenDecided = 0.9, Concurrency = 1 } };

        // Beta(v + 1, 1): 1 - 2^-(v + 1) exceeds 0.9 from v = 2.33 on.
        Assert.Equal(3, (await sure.Answer(Ask)).Usage.Streams);
        Assert.Equal(5, (await unsure.Answer(Ask)).Usage.Streams);
    }
}
