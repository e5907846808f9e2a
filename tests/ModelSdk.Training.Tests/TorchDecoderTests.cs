namespace ModelSdk.Training.Tests;

public sealed class TorchDecoderTests
{
    private static readonly int[] s_generationPrompt = [3, 4, 5];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_equal_the_reference_with_the_adapter_from_the_generation_prompt_on(bool masked)
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        var adapter = RandomWeights.Adapter(Shapes.Tiny());
        using var model = Transformer.Load(Shapes.Tiny(), n => weights[n], compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter, masked);
        var reference = new ReferenceTransformer(Shapes.Tiny(), n => [.. weights[n].Select(v => (double)v)], adapter);
        var tokens = RandomWeights.Tokens(Shapes.Tiny(), 20, 8);

        var logits = decoder.Logits(tokens, 11);

        Assert.Equal(9, logits.Length);
        TransformerTests.AssertClose([.. reference.Logits(tokens, masked ? 11 : 0).Skip(11).SelectMany(l => l)], [.. logits.SelectMany(l => l)], 1e-4);
    }

    [Fact]
    public void Decoding_in_batches_gives_the_tokens_of_one_full_pass_each()
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        var adapter = RandomWeights.Adapter(Shapes.Tiny());
        using var model = Transformer.Load(Shapes.Tiny(), n => weights[n], compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter);
        int[][] prompts = [.. Enumerable.Range(0, 23).Select(i => RandomWeights.Tokens(Shapes.Tiny(), i == 7 ? 0 : 2 + (i * 5 % 17), 100 + i))];
        int[] ends = [1, 2, 17, 30, 44];

        var decoded = decoder.Decode(prompts, s_generationPrompt, ends, maxTokens: 40, batchSize: 9, TestContext.Current.CancellationToken);

        Assert.Contains(decoded, d => d.Ended);
        for (var i = 0; i < prompts.Length; i++)
        {
            // The most likely token at each place of one pass over everything is what was decoded there.
            int[] all = [.. prompts[i], .. s_generationPrompt, .. decoded[i].Tokens];
            var best = decoder.Logits(all, prompts[i].Length).Skip(s_generationPrompt.Length - 1).Select(l => Array.IndexOf(l, l.Max())).ToArray();
            Assert.Equal(decoded[i].Tokens, best[..decoded[i].Tokens.Length]);
            Assert.DoesNotContain(decoded[i].Tokens, t => ends.Contains(t));
            Assert.True(decoded[i].Ended ? ends.Contains(best[^1]) : decoded[i].Tokens.Length == 40, $"prompt {i}");
        }
    }
}
