using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

/// <summary>Keys and values that are rounded as a quantized cache stores them.</summary>
public sealed class CacheRoundingTests
{
    private static readonly TransformerConfig s_config = Shapes.Tiny();

    [Theory]
    [InlineData(CacheFormat.Int8, 127)]
    [InlineData(CacheFormat.Int4, 7)]
    public void Keys_and_values_of_the_first_layer_are_whole_steps_within_the_range(CacheFormat format, int most)
    {
        int[] tokens = RandomWeights.Tokens(s_config, 20, 8);
        using var exact = Load(null);
        using var rounded = Load(Scales(format, 0.02f));
        var (before, after) = (exact.KeysAndValues(tokens), rounded.KeysAndValues(tokens));

        Assert.Equal(2 * s_config.Layers, after.Count);
        for (var slab = 0; slab < 2; slab++)
        {
            var clipped = 0;
            for (var i = 0; i < before[slab].Length; i++)
            {
                // Steps grow with the channel, so that a scale at a wrong channel is noticed.
                var channel = (i / (tokens.Length * s_config.HeadSize) * s_config.HeadSize) + (i % s_config.HeadSize);
                var step = 0.02f * (1 + channel);
                var code = Math.Clamp(MathF.Round(before[slab][i] / step), -most, most);
                Assert.Equal(code * step, after[slab][i], step * 1e-3f);
                clipped += Math.Abs(code) == most ? 1 : 0;
            }

            Assert.True(format == CacheFormat.Int8 || clipped > 0);
        }
    }

    [Fact]
    public void Decoding_over_a_rounded_cache_equals_one_pass_over_everything()
    {
        int[] tokens = RandomWeights.Tokens(s_config, 20, 8);
        using var model = Load(Scales(CacheFormat.Int4, 0.1f));
        using var decoder = new TorchDecoder(model);
        using var scope = NewDisposeScope();
        using var gradients = no_grad();

        var whole = Transformer.Values(model.Logits(TransformerTests.Batch([tokens])));
        var continued = decoder.Logits(tokens, 11).SelectMany(l => l).ToArray();

        var tail = whole[(11 * s_config.VocabularySize)..];
        TransformerTests.AssertClose([.. tail.Select(v => (double)v)], continued, 1e-4);
        using var exact = Load(null);
        Assert.True(tail.Zip(Transformer.Values(exact.Logits(TransformerTests.Batch([tokens])))[(11 * s_config.VocabularySize)..], (a, b) => Math.Abs(a - b)).Max() > 0.1);
    }

    [Fact]
    public void Gradients_pass_through_rounding()
    {
        // With small steps, loss and gradients are about those without rounding. All that k_proj and v_proj learn from flows through keys and values.
        var (loss, gradients) = Compute(null);
        var (roundedLoss, rounded) = Compute(Scales(CacheFormat.Int8, 0.05f, grows: false));

        Assert.NotEqual(loss, roundedLoss);
        Assert.Equal(loss, roundedLoss, 0.05);
        for (var i = 0; i < gradients.Length; i++)
        {
            var difference = gradients[i].Zip(rounded[i], (a, b) => Math.Pow(a - b, 2)).Sum() / gradients[i].Sum(a => Math.Pow(a, 2));
            Assert.InRange(Math.Sqrt(difference), 0, 0.2);
        }

        (double Loss, float[][] Gradients) Compute(KeyValueScales? cache)
        {
            using var scope = NewDisposeScope();
            using var model = Load(cache);
            using var lora = LoraModule.From(model, RandomWeights.Adapter(s_config, 3, "k_proj", "v_proj"), trainable: true);
            int[] prompt = RandomWeights.Tokens(s_config, 9, 1), row = RandomWeights.Tokens(s_config, 8, 2);
            using var prompts = new PromptCache(model, [prompt], [[0]], 1 << 20);
            var result = MaskedForward.Loss(model, lora.ComputeWeights(), [row], [3], [prompts.Prepare(0, [0])[0]], row.Length - 3);
            result.backward();
            return (result.item<float>(), [.. lora.Parameters.Select(p => Transformer.Values(p.grad!))]);
        }
    }

    private static Transformer Load(KeyValueScales? cache)
    {
        var weights = RandomWeights.Of(s_config);
        return Transformer.Load(s_config, n => weights[n], compute: ComputeOptions.Full with { Cache = cache });
    }

    private static KeyValueScales Scales(CacheFormat format, float step, bool grows = true)
    {
        float[] steps = [.. Enumerable.Range(0, s_config.KeyValueSize).Select(c => step * (grows ? 1 + c : 1))];
        return new KeyValueScales(format, [.. Enumerable.Range(0, s_config.Layers).Select(_ => new LayerScales(steps, steps))]);
    }
}
