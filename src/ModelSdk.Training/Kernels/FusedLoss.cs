using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>A loss of logits that makes their gradient on the way.</summary>
internal interface ILogitsLoss
{
    /// <summary>The loss; the logits [N, V] are replaced by their gradients.</summary>
    double Run<T>(Tensor logits)
        where T : IElement;
}

/// <summary>Weighted sum of cross entropies.</summary>
/// <param name="Targets">Right token of each row.</param>
/// <param name="Weights">Weight of each row; null: 1 each.</param>
/// <param name="Scale">Multiplies the sum: 1 / normalizer.</param>
internal sealed record CrossEntropyLoss(long[] Targets, float[]? Weights, double Scale) : ILogitsLoss
{
    public double Run<T>(Tensor logits)
        where T : IElement => CrossEntropyKernel.Run<T>(logits, Targets, Weights, Scale);
}

/// <summary>A loss behind the final norm and the LM head.</summary>
/// <param name="Loss">The loss.</param>
/// <param name="Epsilon">Constant of the final norm.</param>
internal sealed record LossCall(ILogitsLoss Loss, double Epsilon);

/// <summary>Final norm, LM head and loss as one node; the gradients are made in the forward pass, where the softmax is at hand.</summary>
internal sealed class FusedLoss : autograd.SingleTensorFunction<FusedLoss>
{
    private const string StateKey = "gradients";

    public override string Name => "head and loss";

    /// <summary>The loss, fp32 scalar.</summary>
    /// <param name="hidden">[N, D], residual stream.</param>
    /// <param name="gain">[D], gain of the final norm.</param>
    /// <param name="head">[V, D].</param>
    /// <param name="call">The loss.</param>
    public static Tensor Run(Tensor hidden, Tensor gain, Tensor head, LossCall call) => apply(hidden, gain, head, call);

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
        var logits = nn.functional.linear(scaled, head);                                        // [N, V]
        var loss = tensor((float)call.Loss.Run<T>(logits));
        Tensor? dHidden = null, dGain = null;
        var dHead = head.requires_grad ? logits.t().mm(scaled) : null;
        if (hidden.requires_grad || gain.requires_grad)
        {
            var dScaled = logits.mm(head);                                                      // [N, D]
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
