using System.Runtime.InteropServices;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Decoding;

public class BatchDecoderTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static readonly string[] Questions = ["What is 2 + 3?", "hello", "a much longer question about nothing in particular, so that rows are ragged", "x", "y?"];
    private static readonly SamplingOptions Warm = new() { Temperature = 1.3 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private LoadedBundle Loaded => bundle.Model.Loaded;

    [Theory]
    [InlineData("base", 1)]
    [InlineData("arithmetic", 3)]
    public async Task Greedy_text_is_that_of_single_calls(string mode, int rows)
    {
        using BatchDecoder decoder = Decoder(Loaded, mode, rows, workers: 2);

        IReadOnlyList<BatchSequence> sequences = decoder.Run(Prompts(Loaded, 2), Options(Loaded, SamplingOptions.Greedy, 24), null, Cancel);

        Assert.Equal(Questions.Length * 2, sequences.Count);
        foreach (BatchSequence sequence in sequences)
            AssertSame(await bundle.Model.AnswerAsync(RandomBundle.Ask(Questions[sequence.Prompt], mode), Cancel), sequence);
    }

    [Fact]
    public async Task Budgets_cut_and_force_as_single_calls_do()
    {
        foreach (string[][] script in (string[][][])[[ScriptedModel.Thinker], ScriptedModel.Endless, [["\n", "<think>", "x", "x"], ["\n\n", "7", "8", "7"]], [["\n", "x", "y", "x"]]])
        {
            await using ScriptedModel scripted = await ScriptedModel.Load(script, context: 96, change: b => b with { Prompt = b.Prompt with { Budget = null } });
            LoadedBundle loaded = scripted.Model.Loaded;
            using BatchDecoder decoder = Decoder(loaded, TinyBundle.Adapter, rows: 4, workers: 1);
            (int? Budget, int MaxTokens)[] limits = [(null, 1000), (1, 1000), (2, 1000), (5, 1000), (7, 1000), (9, 1000), (50, 1000), (null, 4), (3, 4), (3, 3), (1, 1)];
            foreach ((int? budget, int maxTokens) in limits)
            {
                ReasoningResult single = await scripted.Answer(r => r with { Budget = budget, MaxTokens = maxTokens });

                BatchSequence sequence = Assert.Single(decoder.Run([Ask(loaded, "q", 1, budget)], Options(loaded, SamplingOptions.Greedy, maxTokens), null, Cancel));

                AssertSame(single, sequence);
                Assert.Equal(single.Usage.Forced, sequence.Forced);
                Assert.Equal(sequence.Ended, sequence.Tokens[^1] == TinyTokenizer.TurnEnd);
                Assert.Equal(sequence.Tokens.Length, sequence.LogProbs.Length);
                if (sequence.Forced)
                    Assert.Equal(loaded.Output.ForceAnswerTokens, sequence.Tokens.AsSpan(sequence.ForcedAt, sequence.ForcedTokens).ToArray());
            }
        }
    }

    [Fact]
    public void Samples_do_not_depend_on_rows_or_workers()
    {
        IReadOnlyList<BatchSequence>? first = null;
        foreach ((int rows, int workers) in ((int, int)[])[(2, 1), (1, 1), (3, 1), (7, 1), (64, 1), (1, 2), (5, 3)])
        {
            using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows, workers);
            BatchPrompt[] prompts = Prompts(Loaded, 4);
            prompts[2] = prompts[2] with { MaxTokens = 9 };
            IReadOnlyList<BatchSequence> sequences = decoder.Run(prompts, Options(Loaded, Warm, 24), null, Cancel);
            first ??= sequences;

            Assert.Equal(first.Select(s => (s.Prompt, s.Sample, Text(s))), sequences.Select(s => (s.Prompt, s.Sample, Text(s))));
            // The same decoder again.
            Assert.Equal(first.Select(Text), decoder.Run(prompts, Options(Loaded, Warm, 24), null, Cancel).Select(Text));
        }

        Assert.True(first!.Select(s => string.Join(' ', s.Tokens)).Distinct().Count() > 15, "Samples of a prompt are all the same.");

        static string Text(BatchSequence sequence) =>
            string.Join(' ', sequence.Tokens) + "|" + Convert.ToHexString(MemoryMarshal.AsBytes(sequence.LogProbs.AsSpan()));
    }

    [Fact]
    public void A_prompts_samples_do_not_depend_on_the_other_prompts()
    {
        using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows: 4, workers: 1);
        BatchPrompt[] prompts = Prompts(Loaded, 2);
        IReadOnlyList<BatchSequence> all = decoder.Run(prompts, Options(Loaded, Warm, 24), null, Cancel);

        IReadOnlyList<BatchSequence> alone = decoder.Run([prompts[3] with { Samples = 1 }], Options(Loaded, Warm, 24), null, Cancel);

        Assert.Equal(all.Single(s => (s.Prompt, s.Sample) == (3, 0)).Tokens, Assert.Single(alone).Tokens);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0.7, 1)]
    [InlineData(1.3, 0.5)]
    public void Log_probabilities_are_those_of_the_whole_distribution(double temperature, double topP)
    {
        using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows: 3, workers: 1);
        BatchPrompt[] prompts = Prompts(Loaded, 2);
        BatchOptions options = Options(Loaded, new SamplingOptions { Temperature = temperature, TopP = topP }, 12);

        foreach (BatchSequence sequence in decoder.Run(prompts, options, null, Cancel))
        {
            using TokenCache cache = new(Loaded.Bundle.Architecture, Loaded.Bundle.Context, 64, Loaded.Sessions.Modes.Count, Loaded.Bundle.Cache);
            GraphSession graph = Loaded.Sessions[1];
            cache.Append(Loaded.Sessions.Encoder, prompts[sequence.Prompt].Tokens, logits: false, Cancel);
            cache.Append(graph, options.GenerationPrompt, logits: true, Cancel);
            for (int t = 0; t < sequence.Tokens.Length; t++)
            {
                double[] scaled = [.. cache.Logits.ToArray().Select(l => l / (temperature == 0 ? 1 : temperature))];
                double max = scaled.Max();
                Assert.Equal(scaled[sequence.Tokens[t]] - max - Math.Log(scaled.Sum(l => Math.Exp(l - max))), sequence.LogProbs[t], 1e-3);
                cache.Append(graph, [sequence.Tokens[t]], logits: true, Cancel);
            }
        }
    }

    [Fact]
    public void Progress_counts_what_was_generated()
    {
        using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows: 2, workers: 2);
        List<BatchProgress> told = [];

        IReadOnlyList<BatchSequence> sequences = decoder.Run(Prompts(Loaded, 2), Options(Loaded, Warm, 8), told.Add, Cancel);

        Assert.Equal(new BatchProgress(sequences.Count, sequences.Count, sequences.Sum(s => s.Tokens.Length)), told[^1]);
        Assert.All(told.Zip(told.Skip(1)), pair => Assert.True(pair.First.Tokens < pair.Second.Tokens && pair.First.Finished <= pair.Second.Finished));
    }

    [Fact]
    public void A_run_can_be_cancelled_and_the_decoder_used_again()
    {
        using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows: 2, workers: 2);
        BatchPrompt[] prompts = Prompts(Loaded, 2);
        IReadOnlyList<BatchSequence> expected = decoder.Run(prompts, Options(Loaded, Warm, 24), null, Cancel);
        using CancellationTokenSource stop = new();

        Assert.Throws<OperationCanceledException>(() => decoder.Run(prompts, Options(Loaded, Warm, 24), progress =>
        {
            if (progress.Tokens > 20)
                stop.Cancel();
        }, stop.Token));

        Assert.Equal(expected.Select(s => s.Text), decoder.Run(prompts, Options(Loaded, Warm, 24), null, Cancel).Select(s => s.Text));
    }

    [Fact]
    public async Task Logits_that_are_not_numbers_end_the_run()
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
        using BatchDecoder decoder = Decoder(model.Loaded, TinyBundle.Adapter, rows: 4, workers: 2);

        var error = Assert.Throws<InvalidLogitsException>(() => decoder.Run(Prompts(model.Loaded, 2), Options(model.Loaded, Warm, 8), null, Cancel));

        Assert.Contains(TinyBundle.Adapter, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_answered_is_refused()
    {
        using BatchDecoder decoder = Decoder(Loaded, TinyBundle.Adapter, rows: 2, workers: 1);
        BatchPrompt prompt = Prompts(Loaded, 1)[0];
        BatchOptions options = Options(Loaded, Warm, 8);

        Assert.Throws<PromptTooLongException>(() => decoder.Run([prompt with { Tokens = new int[Loaded.Bundle.Context] }], options, null, Cancel));
        Assert.Throws<InvalidRequestException>(() => decoder.Run([prompt with { Budget = 0 }], options, null, Cancel));
        Assert.Throws<InvalidRequestException>(() => decoder.Run([prompt with { Samples = -1 }], options, null, Cancel));
        Assert.Throws<InvalidRequestException>(() => decoder.Run([prompt], options with { MaxTokens = 0 }, null, Cancel));
        Assert.Throws<InvalidRequestException>(() => decoder.Run([prompt], options with { GenerationPrompt = [] }, null, Cancel));
        Assert.Throws<InvalidRequestException>(() => decoder.Run([prompt], options with { Sampling = new SamplingOptions { Temperature = -1 } }, null, Cancel));
        Assert.Empty(decoder.Run([prompt with { Samples = 0 }], options, null, Cancel));
        Assert.Empty(decoder.Run([], options, null, Cancel));
    }

    private static void AssertSame(ReasoningResult single, BatchSequence sequence) => Assert.Equal(
        (single.Reasoning, single.Text, single.Finish, single.Usage.GeneratedTokens),
        (sequence.Reasoning, sequence.Text, sequence.Finish, sequence.GeneratedTokens));

    private static BatchDecoder Decoder(LoadedBundle loaded, string mode, int rows, int workers) =>
        new(loaded.Bundle.Architecture, loaded.Output, loaded.Sessions.Encoder, loaded.Sessions[loaded.Sessions.IndexOf(mode)], loaded.Bundle.Context, rows, workers, chunk: 16, cache: loaded.Bundle.Cache);

    private static BatchPrompt[] Prompts(LoadedBundle loaded, int samples) => [.. Questions.Select((question, i) => Ask(loaded, question, samples, null) with { Seed = (ulong)i })];

    private static BatchPrompt Ask(LoadedBundle loaded, string question, int samples, int? budget)
    {
        Prompt prompt = Prompt.Create(RandomBundle.Ask(question), loaded.Bundle, loaded.Template, loaded.Tokenizer);
        return new BatchPrompt(prompt.Tokens[..prompt.Boundary], samples, budget, 1);
    }

    private static BatchOptions Options(LoadedBundle loaded, SamplingOptions sampling, int maxTokens) =>
        new(loaded.Tokenizer.Encode(loaded.Template.GenerationPrompt), sampling, maxTokens);
}
