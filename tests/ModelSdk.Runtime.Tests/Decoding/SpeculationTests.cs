using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Decoding;

/// <summary>Guessed tokens change the number of passes and nothing else.</summary>
public class SpeculationTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private LoadedBundle Loaded => bundle.Model.Loaded;

    /// <summary>Against two other forms: the same call a token a pass, and the engine of batches, which has a loop and a cache of its own.</summary>
    [Theory]
    [InlineData("base", 0.0)]
    [InlineData("arithmetic", 0.0)]
    [InlineData("arithmetic", 0.3)]
    [InlineData("base", 0.3)]
    public void Texts_are_those_of_one_token_a_pass(string mode, double temperature)
    {
        using TokenCache cache = NewCache(Loaded);
        using BatchDecoder batch = Loaded.Batch(Loaded.Sessions.IndexOf(mode), rows: 3, workers: 1);
        int accepted = 0;
        for (int i = 0; i < 12; i++)
        {
            SamplingOptions sampling = new() { Temperature = temperature, Seed = i };
            ReasoningRequest request = RandomBundle.Ask($"Question {i}: {new string('x', 5 * i)}", mode, tokens: 130) with { Sampling = sampling };
            (int[] plain, _) = Run(Loaded, cache, request with { DraftTokens = 0 });
            (int[] guessed, ReasoningResult result) = Run(Loaded, cache, request);
            int[] prompt = Loaded.Tokenizer.Encode(Loaded.Template.Render([.. request.Turns], addGenerationPrompt: false));
            BatchOptions options = new(Loaded.Tokenizer.Encode(Loaded.Template.GenerationPrompt), sampling, 130);
            BatchSequence sequence = Assert.Single(batch.Run([new BatchPrompt(prompt, 1, null, (ulong)i)], options, null, Cancel));

            Assert.Equal(plain, guessed);
            // Attention in fp32 rounds the last bits of one token of many sequences otherwise than of several tokens of one.
            if (bundle.Model.Bundle.Cache != CacheFormat.None)
            {
                // The last token was chosen and not run.
                Assert.Equal(sequence.Tokens[..^1], guessed[result.Usage.PromptTokens..]);
                Assert.Equal(sequence.Text, result.Text);
            }

            accepted += result.Usage.AcceptedTokens;
        }

        Assert.True(accepted > 50, $"Only {accepted} guesses were right; this compares nothing.");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Any_number_of_guesses_gives_the_same_text(int draftTokens)
    {
        using TokenCache cache = NewCache(Loaded);
        ReasoningRequest request = RandomBundle.Ask("Say it again.", TinyBundle.Adapter, tokens: 150);
        (int[] plain, ReasoningResult expected) = Run(Loaded, cache, request with { DraftTokens = 0 });
        (int[] guessed, ReasoningResult result) = Run(Loaded, cache, request with { DraftTokens = draftTokens });

        Assert.Equal(plain, guessed);
        Assert.Equal((0, 0, 149), (expected.Usage.DraftedTokens, expected.Usage.AcceptedTokens, expected.Usage.Passes));
        Assert.InRange(result.Usage.DraftedTokens, 1, result.Usage.Passes * draftTokens);
        Assert.InRange(result.Usage.AcceptedTokens, 1, result.Usage.DraftedTokens);
        // Each pass gives one token and those that were guessed right; of the last pass some may not be wanted.
        Assert.InRange(result.Usage.Passes + result.Usage.AcceptedTokens, 149, 149 + 1);
        Assert.Equal(expected with { Usage = result.Usage }, result);
    }

    [Fact]
    public async Task Budgets_limits_stop_texts_and_ends_hold_at_every_token()
    {
        string[][] thinker = [["\n", "<think>", "x", "y", "z", "x"], ["\n\n", "7", "8", "7"]];
        foreach (string[][] script in (string[][][])[ScriptedModel.Endless, thinker, [ScriptedModel.Thinker], [["\n", "x", "y", "x"]]])
        {
            await using ScriptedModel scripted = await ScriptedModel.Load(script, context: 96, change: b => b with { Prompt = b.Prompt with { Budget = null } });
            LoadedBundle loaded = scripted.Model.Loaded;
            using TokenCache cache = NewCache(loaded);
            foreach (string[] stop in (string[][])[[], ["78"]])
            {
                for (int limit = 1; limit <= 70; limit++)
                {
                    foreach ((int? budget, int? most) in ((int?, int?)[])[(limit, null), (null, limit), (limit, limit + 3)])
                    {
                        ReasoningRequest request = ReasoningRequest.FromQuestion("q") with { Budget = budget, MaxTokens = most, Stop = stop };
                        (int[] plain, ReasoningResult expected) = Run(loaded, cache, request with { DraftTokens = 0 });
                        (int[] guessed, ReasoningResult result) = Run(loaded, cache, request);

                        Assert.Equal(plain, guessed);
                        Assert.Equal(expected with { Usage = result.Usage }, result);
                        Assert.Equal(
                            (expected.Usage.ReasoningTokens, expected.Usage.AnswerTokens, expected.Usage.Forced),
                            (result.Usage.ReasoningTokens, result.Usage.AnswerTokens, result.Usage.Forced));
                        Assert.InRange(result.Usage.Passes, 0, expected.Usage.Passes);
                    }
                }
            }
        }
    }

    [Fact]
    public async Task A_forced_answer_is_appended_in_one_pass_and_its_text_is_guessed()
    {
        // "7" follows the forcing text in the conversation's known texts, so the pass that runs it runs the end of turn's place too.
        await using ScriptedModel scripted = await ScriptedModel.Load(
            [["\n", "<think>", "x", "y", "x"], ["\n\n", "7", "8", "9", "<end>"]],
            change: b => b with { Answer = new BundleAnswer("choice", ["789", "456"]), Prompt = b.Prompt with { Budget = null } });
        ReasoningResult plain = await scripted.Answer(r => r with { Budget = 4, DraftTokens = 0 });
        ReasoningResult guessed = await scripted.Answer(r => r with { Budget = 4 });

        Assert.Equal("789", guessed.Text);
        Assert.Equal(plain.Text, guessed.Text);
        // Four tokens of reasoning, the forcing text at once, three tokens of the answer.
        Assert.Equal(4 + 1 + 3, plain.Usage.Passes);
        Assert.True(guessed.Usage.Passes <= 6, $"{guessed.Usage.Passes} passes.");
    }

    [Fact]
    public async Task The_verifier_judges_the_same_answer_with_the_same_confidence()
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, change: b => b with { Answer = new BundleAnswer("text") }, heads: new TinyHeads(Verifier: TinyHeads.RandomVerifier(confidence: true)));
        await using ReasoningModel model = await ReasoningModel.LoadAsync(path, new ReasoningModelOptions { Threads = 1 }, Cancel);
        ReasoningRequest request = ReasoningRequest.FromQuestion("How many?") with { Mode = TinyBundle.Adapter, MaxTokens = 120 };

        ReasoningResult plain = await model.AnswerAsync(request with { DraftTokens = 0 }, Cancel);
        ReasoningResult guessed = await model.AnswerAsync(request, Cancel);

        Assert.NotNull(plain.Confidence);
        Assert.Equal(plain.Confidence, guessed.Confidence);
        Assert.True(guessed.Usage.Passes < plain.Usage.Passes);
    }

    [Fact]
    public async Task A_conversation_goes_on_from_what_was_accepted()
    {
        string[] texts = new string[2];
        for (int i = 0; i < 2; i++)
        {
            await using Conversation conversation = bundle.Model.StartConversation();
            ReasoningRequest request = RandomBundle.Ask("First.", TinyBundle.Adapter, tokens: 60) with { DraftTokens = i * 15 };
            ReasoningResult first = await conversation.AnswerAsync(request, Cancel);
            ReasoningRequest more = request with { Turns = [.. request.Turns, new("assistant", first.Text), new("user", "And?")], MaxTokens = 30 };
            texts[i] = first.Text + "|" + (await conversation.AnswerAsync(more, Cancel)).Text;
        }

        Assert.Equal(texts[0], texts[1]);
    }

    /// <summary>Behind each "x" comes one of three letters with uneven probabilities, guessed each time: each comes as often as it should, whatever came before it.</summary>
    [Fact]
    public async Task Sampled_tokens_that_are_guessed_keep_their_distribution()
    {
        // A pair that is told several times is that much more likely.
        (int Token, int Next)[] script =
        [
            .. TinyBundle.Script(["\n", "x"]),
            .. "aaabbc".SelectMany(letter => TinyBundle.Script(["x", $"{letter}"])),
            .. "abc".SelectMany(letter => Enumerable.Repeat((TinyTokenizer.Id(letter), TinyTokenizer.Id('x')), 2)),
        ];
        using TemporaryFolder folder = new();
        await using ReasoningModel model = await ReasoningModel.LoadAsync(TinyBundle.Scripted(folder.Path, script), new ReasoningModelOptions { Threads = 1 }, Cancel);
        LoadedBundle loaded = model.Loaded;
        using TokenCache cache = NewCache(loaded);
        const double temperature = 90;
        const int letters = 3;

        cache.Append(loaded.Sessions[1], [TinyTokenizer.Id('x')], logits: true, Cancel);
        double[] weights = [.. Enumerable.Range(0, letters).Select(i => Math.Exp(cache.Logits[TinyTokenizer.Id('a') + i] / temperature))];
        double[] probabilities = [.. weights.Select(weight => weight / weights.Sum())];
        Assert.True(probabilities[0] > 1.4 * probabilities[1] && probabilities[1] > 1.4 * probabilities[2], string.Join(' ', probabilities));

        double[,] counts = new double[letters, letters];
        int drafted = 0;
        int accepted = 0;
        for (int seed = 0; seed < 120; seed++)
        {
            SamplingOptions sampling = new() { Temperature = temperature, TopK = letters, Seed = seed };
            (int[] tokens, ReasoningResult result) = Run(loaded, cache, ReasoningRequest.FromQuestion("q") with { MaxTokens = 160, Sampling = sampling });
            for (int i = result.Usage.PromptTokens + 2; i < tokens.Length; i++)
            {
                // So hot a model says other things than "x" behind a letter, too; behind "x" there are but the three.
                (int before, int after) = (tokens[i - 2] - TinyTokenizer.Id('a'), tokens[i] - TinyTokenizer.Id('a'));
                if (tokens[i - 1] == TinyTokenizer.Id('x') && before is >= 0 and < letters)
                    counts[before, after]++;
            }

            drafted += result.Usage.DraftedTokens;
            accepted += result.Usage.AcceptedTokens;
        }

        double total = counts.Cast<double>().Sum();
        Assert.True(total > 1000 && accepted > 1000 && drafted - accepted > 1000, $"{total} pairs, {accepted} of {drafted} guesses right: this tests nothing.");
        double chi = 0;
        for (int before = 0; before < letters; before++)
        {
            double row = Enumerable.Range(0, letters).Sum(after => counts[before, after]);
            for (int after = 0; after < letters; after++)
            {
                double expected = row * probabilities[after];
                chi += (counts[before, after] - expected) * (counts[before, after] - expected) / expected;
            }
        }

        // 3 x 2 degrees of freedom: above 22.5 once in 1,000 runs. Seeds are fixed.
        Assert.True(chi < 22.5, $"chi-square {chi:F1}");
    }

    private static TokenCache NewCache(LoadedBundle loaded) => new(loaded.Bundle.Architecture, loaded.Bundle.Context, 16, loaded.Sessions.Modes.Count, loaded.Bundle.Cache);

    /// <summary>Answers on an empty cache; tells which tokens it then holds.</summary>
    private static (int[] Tokens, ReasoningResult Result) Run(LoadedBundle loaded, TokenCache cache, ReasoningRequest request)
    {
        cache.Rewind(0);
        ReasoningResult result = Generation.Run(loaded, cache, request, sink: null, Cancel);
        return ([.. cache.Tokens], result);
    }
}
