using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Kernels;
using static TorchSharp.torch;

namespace ModelSdk.Training.Tests;

/// <summary>A width at which rows are packed and LoRA stays low-rank.</summary>
public sealed class WideTrainingTests
{
    private static readonly TransformerConfig s_config = new("qwen2", 97, 576, 80, 2, 9, 3, 64, 96, 10000, 1e-6, true);

    private static (float Loss, float[] Gradients) Train(ComputeOptions compute, long? activationBytes = null)
    {
        var weights = RandomWeights.Of(s_config);
        using var scope = NewDisposeScope();
        using var model = Transformer.Load(s_config, n => weights[n], compute: compute);
        model.ActivationBytes = activationBytes ?? model.ActivationBytes;
        using var lora = LoraModule.From(model, RandomWeights.Adapter(s_config), trainable: true);
        int[][] prompts = [RandomWeights.Tokens(s_config, 9, 1), RandomWeights.Tokens(s_config, 14, 3), RandomWeights.Tokens(s_config, 5, 5)];
        int[][] rows = [RandomWeights.Tokens(s_config, 6, 2), RandomWeights.Tokens(s_config, 17, 4), RandomWeights.Tokens(s_config, 3, 6)];
        using var cache = new PromptCache(model, prompts, [[0, 1, 2]], 1 << 24);
        var keysAndValues = cache.Prepare(0, [0, 1, 2]);
        var loss = MaskedForward.Loss(model, lora.ComputeWeights(), rows, [2, 2, 2], [keysAndValues[0], keysAndValues[1], keysAndValues[2]], 20);
        loss.backward();
        return (loss.item<float>(), [.. lora.Parameters.SelectMany(p => Transformer.Values(p.grad!))]);
    }

    [Fact]
    public void Packed_rows_with_low_rank_kernels_equal_composed_operators_on_rectangles()
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        var (loss, gradients) = Train(ComputeOptions.Full);
        var (expectedLoss, expected) = Train(ComputeOptions.Full with { Composed = true });
        Assert.Equal(expectedLoss, loss, 1e-4 * Math.Abs(expectedLoss));
        TransformerTests.AssertClose([.. expected.Select(v => (double)v)], gradients, 1e-4);
    }

    [Fact]
    public void Layers_that_run_twice_for_want_of_memory_give_the_same_gradients()
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        var (loss, gradients) = Train(ComputeOptions.Full);
        var (again, recomputed) = Train(ComputeOptions.Full, activationBytes: 0);
        Assert.Equal(loss, again);
        TransformerTests.AssertClose([.. gradients.Select(v => (double)v)], recomputed, 1e-6);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_frozen_base_keeps_only_what_computations_read_and_gives_the_bits_of_its_fp32_weights(bool half)
    {
        Assert.SkipUnless(!half || ComputeOptions.CpuHasBFloat16, "bf16 products need AVX512-BF16.");
        var weights = RandomWeights.Of(s_config);
        var compute = half ? ComputeOptions.BFloat16 : ComputeOptions.Full;
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        using var whole = Transformer.Load(s_config, n => weights[n], trainable: true, compute);
        using var frozen = Transformer.Load(s_config, n => weights[n], compute: compute);
        var batch = new TokenBatch { Ids = [.. RandomWeights.Tokens(s_config, 24, 1).Select(t => (long)t)], Rows = 2, LossWeights = new float[24] };

        Assert.Equal(Transformer.Values(whole.Logits(batch)), Transformer.Values(frozen.Logits(batch)));
        Assert.All(frozen.Parameters.Where(p => p.Kind != ParameterKind.Vector), p => Assert.Equal(compute.Type, p.Value.dtype));
        Assert.Contains("trainable: true", Assert.Throws<InvalidOperationException>(() => frozen.Export().ToArray()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_merged_adapter_on_a_frozen_base_equals_the_low_rank_one()
    {
        var weights = RandomWeights.Of(s_config);
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        using var model = Transformer.Load(s_config, n => weights[n], compute: ComputeOptions.Full);
        using LoraModule merged = LoraModule.From(model, RandomWeights.Adapter(s_config), merged: true), lowRank = LoraModule.From(model, RandomWeights.Adapter(s_config), merged: false);
        int[][] rows = [RandomWeights.Tokens(s_config, 6, 2), RandomWeights.Tokens(s_config, 17, 4)];
        using var cache = new PromptCache(model, [[]], [[0]], 1 << 20);
        var empty = cache.Prepare(0, [0])[0];
        float[] Run(LoraModule lora) => Transformer.Values(MaskedForward.Tokens(model, lora.ComputeWeights(), rows, [empty, empty]));
        TransformerTests.AssertClose([.. Run(lowRank).Select(v => (double)v)], Run(merged), 1e-4);
    }

    [Fact]
    public void Logits_made_in_parts_give_the_loss_of_all()
    {
        Assert.SkipUnless(KernelSupport.IsAvailable, "Kernels need AVX-512.");
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor gain = ones(24), head = randn([50, 24], generator: generator);
        var start = randn([70, 24], generator: generator);
        (float, float[]) Run(long? atOnce)
        {
            var hidden = start.clone();
            hidden.requires_grad = true;
            var loss = FusedLoss.Run(hidden, gain, head, new LossCall(new CrossEntropyLoss([.. Enumerable.Range(0, 70).Select(i => (long)(i % 50))], [.. Enumerable.Range(0, 70).Select(i => 1f + i)], 0.1), 1e-6, atOnce));
            loss.backward();
            return (loss.item<float>(), Transformer.Values(hidden.grad!));
        }

        var (whole, expected) = Run(null);
        var (parts, actual) = Run(16 * 50);
        Assert.Equal(whole, parts, 1e-3);
        TransformerTests.AssertClose([.. expected.Select(v => (double)v)], actual, 1e-5);
    }
}
