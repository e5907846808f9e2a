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
