using static TorchSharp.torch;

namespace ModelSdk.Training.Optimizers;

/// <summary>Helpers for tensors that optimizers keep.</summary>
internal static class OptimizerState
{
    /// <summary>Zeros that outlive the current dispose scope.</summary>
    public static Tensor ZerosLike(Tensor parameter)
    {
        using var gradients = no_grad();
        return zeros_like(parameter, requires_grad: false).DetachFromDisposeScope();
    }
}
