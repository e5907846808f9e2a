using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>A linear with a LoRA beside it, forward and backward: y = x W^T + b + (x A^T) B^T. B's blocks are multiplied one by one, as most of B is zero where linears are fused.</summary>
internal static class LowRank
{
    /// <summary>x [N, in] -> y [N, out], and x A^T [N, r] for the way back (null without LoRA).</summary>
    public static (Tensor Y, Tensor? Inner) Forward(LinearWeights linear, Tensor x)
    {
        var y = nn.functional.linear(x, linear.Weight, linear.Bias);
        if (linear.LoraA is null)
        {
            return (y, null);
        }

        using var aT = linear.LoraA.t();
        var inner = x.mm(aT);
        foreach (var block in linear.Blocks!)
        {
            using Tensor outputs = block.Outputs(y), input = block.Inner(inner), b = block.Of(linear.LoraB!), bT = b.t();
            outputs.addmm_(input, bT, 1, 1);
        }

        return (y, inner);
    }

    /// <summary>Gradients of x, A and B; the caller's scope frees what it does not keep.</summary>
    /// <param name="linear">Weights.</param>
    /// <param name="gradient">[N, out], gradient of y.</param>
    /// <param name="x">[N, in].</param>
    /// <param name="inner">[N, r] of the forward pass.</param>
    /// <param name="needsX">Whether anything before takes a gradient.</param>
    /// <param name="needsLora">Whether A and B take gradients.</param>
    public static (Tensor? X, Tensor? A, Tensor? B) Backward(LinearWeights linear, Tensor gradient, Tensor x, Tensor? inner, bool needsX, bool needsLora)
    {
        var dX = needsX ? gradient.mm(linear.Weight) : null;
        if (linear.LoraA is null)
        {
            return (dX, null, null);
        }

        var dInner = zeros_like(inner!);
        var dB = needsLora ? zeros_like(linear.LoraB!) : null;
        foreach (var block in linear.Blocks!)
        {
            var outputs = block.Outputs(gradient);
            block.Inner(dInner).addmm_(outputs, block.Of(linear.LoraB!), 1, 1);
            if (dB is not null)
            {
                // (inner^T dy)^T: the thin matrix first is the faster order of the two.
                block.Of(dB).copy_(block.Inner(inner!).t().mm(outputs).t());
            }
        }

        dX?.addmm_(dInner, linear.LoraA, 1, 1);
        return (dX, needsLora ? dInner.t().mm(x) : null, dB);
    }
}
