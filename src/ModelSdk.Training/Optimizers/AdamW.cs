using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training.Optimizers;

/// <summary>AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101); all arithmetic in place.</summary>
public sealed class AdamW : IDisposable
{
    private readonly double _beta1;
    private readonly double _beta2;
    private readonly double _epsilon;
    private readonly double _weightDecay;
    private readonly Tensor[] _parameters;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;

    /// <summary>Creates the optimizer with zero moments.</summary>
    /// <param name="parameters">fp32 parameters that take gradients; those without a gradient are skipped in a step.</param>
    /// <param name="beta1">Decay of the first moment.</param>
    /// <param name="beta2">Decay of the second moment.</param>
    /// <param name="epsilon">Added to the root of the second moment.</param>
    /// <param name="weightDecay">Share of lr by which weights shrink each step; 0 in the paper's SFT.</param>
    public AdamW(IEnumerable<Tensor> parameters, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8, double weightDecay = 0)
    {
        (_beta1, _beta2, _epsilon, _weightDecay) = (beta1, beta2, epsilon, weightDecay);
        _parameters = [.. parameters];
        _first = [.. _parameters.Select(OptimizerState.ZerosLike)];
        _second = [.. _parameters.Select(OptimizerState.ZerosLike)];
    }

    /// <summary>Steps taken; set when resuming.</summary>
    public long Steps { get; set; }

    /// <summary>Moments, in a fixed order; copy into these to resume.</summary>
    public IReadOnlyList<Tensor> State => [.. _first, .. _second];

    /// <summary>Updates the parameters from their gradients and clears the gradients.</summary>
    /// <param name="learningRate">Learning rate of this step.</param>
    public void Step(double learningRate)
    {
        using var gradients = no_grad();
        Steps++;
        // Named, so that they live as long as the native calls: a temporary that an operator makes of a number (also of a factor left out) may be finalized during the call.
        using Scalar shrink = (1 - (learningRate * _weightDecay)).ToScalar(), old2 = _beta2.ToScalar(), new2 = (1 - _beta2).ToScalar();
        using Scalar correction2 = Math.Sqrt(1 - Math.Pow(_beta2, Steps)).ToScalar(), epsilon = _epsilon.ToScalar(), once = 1.ToScalar(), change = (-learningRate / (1 - Math.Pow(_beta1, Steps))).ToScalar();
        for (var i = 0; i < _parameters.Length; i++)
        {
            using var scope = NewDisposeScope();
            if (_parameters[i].grad is not { } gradient)
            {
                continue;
            }

            if (_weightDecay != 0)
            {
                _parameters[i].mul_(shrink);
            }

            _first[i].lerp_(gradient, 1 - _beta1); // becomes a tensor, which the scope keeps
            _second[i].mul_(old2).addcmul_(gradient, gradient, new2);
            var denominator = _second[i].sqrt().div_(correction2).add_(epsilon, once);
            _parameters[i].addcdiv_(_first[i], denominator, change);
            gradient.zero_();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var state in State)
        {
            state.Dispose();
        }
    }
}
