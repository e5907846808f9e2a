using ModelSdk.Onnx.Adapters;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

public sealed class MaskedLoraTests
{
    private static readonly int[] s_generationPrompt = [3, 4, 5];

    /// <summary>Losses and LoRA gradients of three examples of different lengths, computed as the recipe does.</summary>
    private static (double Loss, Dictionary<string, (float[] A, float[] B)> Gradients) Compute(LoraAdapter adapter, SftExample[] examples, bool merged, Dictionary<string, float[]> weights, bool masked = true)
    {
        using var scope = NewDisposeScope();
        using var model = Transformer.Load(Shapes.Tiny(), n => weights[n], compute: ComputeOptions.Full);
        using var lora = LoraModule.From(model, adapter, trainable: true, merged);
        var prompts = examples.Select(e => masked ? e.Prompt : []).ToArray();
        using var cache = new PromptCache(model, prompts, [[.. Enumerable.Range(0, examples.Length)]], 1 << 20);
        var keysAndValues = cache.Prepare(0, [.. Enumerable.Range(0, examples.Length)]);
        int[][] rows = [.. examples.Select(e => (int[])[.. masked ? [] : e.Prompt, .. s_generationPrompt, .. e.Response])];
        var loss = MaskedForward.Loss(model, lora.ComputeWeights(), rows, [.. rows.Select((r, i) => r.Length - examples[i].Response.Length)],
            [.. Enumerable.Range(0, examples.Length).Select(i => keysAndValues[i])], examples.Sum(e => e.Response.Length));
        loss.backward();
        var parameters = lora.Parameters;
        return (loss.item<float>(), lora.Names.Select((name, i) => (name, i)).ToDictionary(e => e.name, e => (Transformer.Values(parameters[2 * e.i].grad!), Transformer.Values(parameters[(2 * e.i) + 1].grad!))));
    }

    private static SftExample[] Examples() =>
    [
        new(RandomWeights.Tokens(Shapes.Tiny(), 9, 1), RandomWeights.Tokens(Shapes.Tiny(), 6, 2)),
        new(RandomWeights.Tokens(Shapes.Tiny(), 14, 3), RandomWeights.Tokens(Shapes.Tiny(), 11, 4)),
        new(RandomWeights.Tokens(Shapes.Tiny(), 5, 5), RandomWeights.Tokens(Shapes.Tiny(), 3, 6)),
    ];

    private static double ReferenceLoss(ReferenceTransformer reference, SftExample[] examples, bool masked) =>
        examples.Sum(e => e.Response.Length * reference.Loss([.. e.Prompt, .. s_generationPrompt, .. e.Response], masked ? e.Prompt.Length : 0, e.Prompt.Length + s_generationPrompt.Length))
        / examples.Sum(e => e.Response.Length);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Keys_and_values_behind_prompts_are_those_of_the_whole_text(bool composed)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var values = RandomWeights.Of(Shapes.Tiny());
        using var model = Transformer.Load(Shapes.Tiny(), n => values[n], compute: ComputeOptions.Full with { Composed = composed });
        var weights = model.FrozenWeights();
        int[][] prompts = [RandomWeights.Tokens(Shapes.Tiny(), 9, 1), RandomWeights.Tokens(Shapes.Tiny(), 5, 2)];
        int[][] rows = [RandomWeights.Tokens(Shapes.Tiny(), 4, 3), RandomWeights.Tokens(Shapes.Tiny(), 7, 4)];

        var encoded = PromptCache.Encode(model, weights, prompts);
        var extended = MaskedForward.Extend(model, weights, rows, [.. prompts.Select((p, i) => encoded.select(1, i).narrow(2, 0, p.Length))]);

        var whole = PromptCache.Encode(model, weights, [.. prompts.Zip(rows, (p, r) => (int[])[.. p, .. r])]);
        for (var i = 0; i < rows.Length; i++)
        {
            var expected = whole.select(1, i).narrow(2, 0, prompts[i].Length + rows[i].Length);
            Assert.Equal(expected.shape, extended[i].shape);
            Assert.True((expected - extended[i]).abs().max().item<float>() < 1e-5);
        }
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void Loss_and_gradients_over_cached_prompts_equal_the_full_masked_forward(bool merged, bool masked)
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        var adapter = RandomWeights.Adapter(Shapes.Tiny());
        var examples = Examples();

        var (loss, gradients) = Compute(adapter, examples, merged, weights, masked);

        var reference = new ReferenceTransformer(Shapes.Tiny(), n => [.. weights[n].Select(v => (double)v)], adapter);
        Assert.Equal(ReferenceLoss(reference, examples, masked), loss, 1e-5);
        Assert.Equal(14, gradients.Count);
        foreach (var (module, (a, b)) in gradients)
        {
            foreach (var (matrix, gradient) in ((char, float[])[])[('A', a), ('B', b)])
            {
                var index = Enumerable.Range(0, gradient.Length).MaxBy(i => Math.Abs(gradient[i]));
                double Nudged(double by)
                {
                    reference.Nudge = (module, matrix, index, by);
                    return ReferenceLoss(reference, examples, masked);
                }

                var expected = (Nudged(1e-4) - Nudged(-1e-4)) / 2e-4;
                Assert.True(Math.Abs(expected - gradient[index]) < 1e-5 + (1e-4 * Math.Abs(expected)), $"{module}.{matrix}[{index}]: {gradient[index]}, expected {expected}");
            }
        }
    }

    [Fact]
    public void An_adapter_on_some_linears_leaves_the_others_as_they_are()
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        var adapter = RandomWeights.Adapter(Shapes.Tiny(), 3, "q_proj", "v_proj", "up_proj");
        var reference = new ReferenceTransformer(Shapes.Tiny(), n => [.. weights[n].Select(v => (double)v)], adapter);
        foreach (var merged in (bool[])[true, false])
        {
            var (loss, gradients) = Compute(adapter, Examples(), merged, weights);
            Assert.Equal(ReferenceLoss(reference, Examples(), masked: true), loss, 1e-5);
            Assert.Equal(["q_proj", "up_proj", "v_proj"], gradients.Keys.Select(k => k[(k.LastIndexOf('.') + 1)..]).Distinct().Order());
        }
    }

    [Fact]
    public void A_new_adapter_computes_what_the_base_does()
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        using var model = Transformer.Load(Shapes.Tiny(), n => weights[n], compute: ComputeOptions.Full);
        using var lora = LoraModule.Create(model, 4, 8, 0, ["q_proj", "down_proj"], seed: 1);
        var adapter = lora.ToAdapter([3, 4, 5]);
        using var withAdapter = new TorchDecoder(model, adapter);
        using var without = new TorchDecoder(model);
        var tokens = RandomWeights.Tokens(Shapes.Tiny(), 12, 8);

        Assert.Contains(adapter.Linears.Values, l => l.A.Any(v => v != 0));
        Assert.Equal(without.Logits(tokens, 5).SelectMany(l => l), withAdapter.Logits(tokens, 5).SelectMany(l => l));
    }

    [Fact]
    public void Prompts_are_encoded_once_and_dropped_when_no_later_step_needs_them()
    {
        var weights = RandomWeights.Of(Shapes.Tiny());
        using var model = Transformer.Load(Shapes.Tiny(), n => weights[n], compute: ComputeOptions.Full);
        int[][] prompts = [RandomWeights.Tokens(Shapes.Tiny(), 5, 1), RandomWeights.Tokens(Shapes.Tiny(), 6, 2), RandomWeights.Tokens(Shapes.Tiny(), 7, 3)];
        int[][] schedule = [[0, 1], [2, 0], [0, 0]];

        using var cache = new PromptCache(model, prompts, schedule, 1 << 20);
        Assert.Equal([0, 1], cache.Prepare(0, schedule[0]).Keys.Order());
        Assert.Equal([0, 2], cache.Prepare(1, schedule[1]).Keys.Order());
        Assert.Equal([0], cache.Prepare(2, schedule[2]).Keys.Order());
        Assert.Equal(5 + 6 + 7, cache.EncodedTokens);

        using var small = new PromptCache(model, prompts, schedule, 1);
        for (var step = 0; step < 3; step++)
        {
            Assert.Equal(schedule[step].Distinct().Order(), small.Prepare(step, schedule[step]).Keys.Order());
        }

        Assert.Equal(5 + 6 + 7 + 5 + 5, small.EncodedTokens);
    }
}
