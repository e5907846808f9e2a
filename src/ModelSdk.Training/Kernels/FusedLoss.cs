using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>A loss of logits that makes their gradient on the way.</summary>
internal interface ILogitsLoss
{
    /// <summary>The loss of some rows; their logits [n, V] are replaced by their gradients.</summary>
    /// <param name="logits">Logits.</param>
    /// <param name="first">Row of the loss that the first row of the logits is.</param>
    double Run<T>(Tensor logits, int first)
        where T : IElement;
}

/// <summary>Weighted sum of cross entropies.</summary>
/// <param name="Targets">Right token of each row.</param>
/// <param name="Weights">Weight of each row; null: 1 each.</param>
/// <param name="Scale">Multiplies the sum: 1 / normalizer.</param>
internal sealed record CrossEntropyLoss(long[] Targets, float[]? Weights, double Scale) : ILogitsLoss
{
    public double Run<T>(Tensor logits, int first)
        where T : IElement
    {
        var rows = first..(first + (int)logits.shape[0]);
        return CrossEntropyKernel.Run<T>(logits, Targets[rows], Weights?[rows], Scale);
    }
}

/// <summary>A loss behind the final norm and the LM head.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="Epsilon">Constant of the final norm.</param>
/// <param name="LogitsAtOnce">Most logits in memory; null: the default of <see cref="FusedLoss"/>.</param>
internal sealed record LossCall(ILogitsLoss Loss, double Epsilon, long? LogitsAtOnce = null);

/// <summary>Final norm, LM head and loss as one node; the gradients are made in the forward pass, where the softmax is at hand.</summary>
internal sealed class FusedLoss : autograd.SingleTensorFunction<FusedLoss>
{
    private const string StateKey = "gradients";

    /// <summary>Most logits in memory at once: 128 MB in bf16. With a vocabulary of 150,000 all those of a micro-batch would be gigabytes.</summary>
    private const long LogitsAtOnce = 1 << 26;

    public override string Name => "head and loss";

    /// <summary>The loss, fp32 scalar.</summary>
    /// <param name="hidden">[N, D], residual stream.</param>
    /// <param name="gain">[D], gain of the final norm.</param>
    /// <param name="head">[V, D].</param>
    /// <param name="call">The loss.</param>
    public static Tensor Run(Tensor hidden, Tensor gain, Tensor head, LossCall call) => apply(hidden, gain, head, call);

    /// <summary>Ranges of rows whose logits are made together.</summary>
    /// <param name="rows">Rows, N.</param>
    /// <param name="vocabulary">Logits of a row, V.</param>
    /// <param name="logitsAtOnce">Most logits together; null: 2^26.</param>
    public static IEnumerable<(int First, int Count)> Chunks(long rows, long vocabulary, long? logitsAtOnce = null)
    {
        var most = Math.Max(16, (logitsAtOnce ?? LogitsAtOnce) / vocabulary / 16 * 16);
        for (long first = 0; first < rows; first += most)
        {
            yield return ((int)first, (int)Math.Min(most, rows - first));
        }
    }

    /// <summary>Logits of the same head, without gradients: [N, V].</summary>
    public static Tensor Logits(Tensor hidden, Tensor gain, Tensor head, double epsilon) =>
        hidden.dtype == ScalarType.BFloat16 ? Logits<Bf16>(hidden, gain, head, epsilon) : Logits<Fp32>(hidden, gain, head, epsilon);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        Tensor hidden = (Tensor)vars[0], gain = (Tensor)vars[1], head = (Tensor)vars[2];
        var (loss, gradients) = hidden.dtype == ScalarType.BFloat16
            ? Forward<Bf16>(hidden, gain, head, (LossCall)vars[3])
            : Forward<Fp32>(hidden, gain, head, (LossCall)vars[3]);
        ctx.save_data(StateKey, gradients);
        return loss;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var gradients = (Tensor?[])ctx.get_data(StateKey);
        var incoming = grad_output.item<float>();
        List<Tensor?> results = [];
        foreach (var gradient in gradients)
        {
            results.Add(gradient is null || incoming == 1 ? gradient?.alias() : gradient * incoming);
            gradient?.Dispose();
        }

        results.Add(null);
        return results!;
    }

    private static Tensor Logits<T>(Tensor hidden, Tensor gain, Tensor head, double epsilon)
        where T : IElement
    {
        using var scope = NewDisposeScope();
        var x = hidden.contiguous();
        Tensor normed = empty_like(x), scales = empty([x.shape[0]], ScalarType.Float32);
        NormKernel.Forward<T>(x, null, normed, scales, epsilon);
        return nn.functional.linear(normed * gain, head).MoveToOuterDisposeScope();
    }

    private static (Tensor Loss, Tensor?[] Gradients) Forward<T>(Tensor hidden, Tensor gain, Tensor head, LossCall call)
        where T : IElement
    {
        using var scope = NewDisposeScope();
        var x = hidden.contiguous();
        Tensor normed = empty_like(x), scales = empty([x.shape[0]], ScalarType.Float32);
        NormKernel.Forward<T>(x, null, normed, scales, call.Epsilon);
        var scaled = normed * gain;
        double sum = 0;
        Tensor? dHidden = null, dGain = null, dHead = null;
        var needsInput = hidden.requires_grad || gain.requires_grad;
        List<Tensor> inputs = [];
        foreach (var (first, count) in Chunks(x.shape[0], head.shape[0], call.LogitsAtOnce))
        {
            var part = scaled.narrow(0, first, count);
            using var logits = nn.functional.linear(part, head);                                // [n, V]
            sum += call.Loss.Run<T>(logits, first);
            if (head.requires_grad)
            {
                using var transposed = logits.t();
                dHead = dHead is null ? transposed.mm(part) : dHead.addmm_(transposed, part, 1, 1);
            }

            if (needsInput)
            {
                inputs.Add(logits.mm(head));                                                    // [n, D]
            }
        }

        var loss = tensor((float)sum);
        if (needsInput)
        {
            var dScaled = inputs.Count == 1 ? inputs[0] : cat(inputs, 0);                       // [N, D]
            dGain = gain.requires_grad ? (dScaled * normed).sum([0]) : null;
            dHidden = dScaled * gain;
            NormKernel.Backward<T>(dHidden, x, scales, null, dHidden);
        }

        Tensor?[] gradients = [hidden.requires_grad ? dHidden : null, dGain, dHead];
        foreach (var gradient in gradients)
        {
            gradient?.DetachFromDisposeScope();
        }

        return (loss.MoveToOuterDisposeScope(), gradients);
    }
}
