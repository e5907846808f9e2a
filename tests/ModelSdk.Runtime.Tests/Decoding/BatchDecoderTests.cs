using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Decoding;

public class BatchDecoderTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private static readonly string[] Questions = ["What is 2 + 3?", "hello", "a much longer question about nothing in particular, so that rows are ragged", "x"];

    private LoadedBundle Loaded => bundle.Model.Loaded;

    [Theory]
    [InlineData("base", 1)]
    [InlineData("arithmetic", 3)]
    public async Task Greedy_text_is_that_of_single_calls(string mode, int rows)
    {
        using BatchDecoder decoder = Decoder(mode, rows, workers: 2);

        IReadOnlyList<BatchSequence> sequences = decoder.Run(Prompts(mode, 2), Options(mode, new SamplingOptions(), 24), null, TestContext.Current.CancellationToken);

        Assert.Equal(Questions.Length * 2, sequences.Count);
        foreach (BatchSequence sequence in sequences)
        {
            ReasoningResult single = await bundle.Model.AnswerAsync(RandomBundle.Ask(Questions[sequence.Prompt], mode), TestContext.Current.CancellationToken);
            Assert.Equal((single.Reasoning, single.Text, single.Finish, single.Usage.GeneratedTokens), (sequence.Reasoning, sequence.Text, sequence.Finish, sequence.GeneratedTokens));
        }
    }

    private BatchDecoder Decoder(string mode, int rows, int workers) =>
        new(Loaded.Bundle.Architecture, Loaded.Output, Loaded.Sessions.Base, Loaded.Sessions[Loaded.Sessions.IndexOf(mode)], Loaded.Bundle.Context, rows, workers, chunk: 16);

    private BatchPrompt[] Prompts(string mode, int samples, int? budget = null) =>
        [.. Questions.Select((question, i) =>
        {
            Prompt prompt = Prompt.Create(RandomBundle.Ask(question, mode), Loaded.Bundle, Loaded.Template, Loaded.Tokenizer);
            return new BatchPrompt(prompt.Tokens[..prompt.Boundary], samples, budget, (ulong)i);
        })];

    private BatchOptions Options(string mode, SamplingOptions sampling, int maxTokens)
    {
        Prompt prompt = Prompt.Create(RandomBundle.Ask("x", mode), Loaded.Bundle, Loaded.Template, Loaded.Tokenizer);
        return new BatchOptions(prompt.Tokens[prompt.Boundary..], sampling, maxTokens);
    }
}
