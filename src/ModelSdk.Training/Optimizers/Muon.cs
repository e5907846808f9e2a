using static TorchSharp.torch;

namespace ModelSdk.Training.Optimizers;

/// <summary>
/// Muon (Keller Jordan, kellerjordan.github.io/posts/muon): Nesterov momentum, then each matrix's update is made nearly orthogonal by
/// five Newton-Schulz steps. For hidden matrices only; embeddings, head, norms and biases take <see cref="AdamW"/>.
/// </summary>
/// <remarks>Parts of a fused parameter (q, k, v) are made orthogonal separately; equal shapes of all layers go as one batch.</remarks>
public sealed class Muon : IDisposable
{
    private readonly double _momentum;
    private readonly double _weightDecay;
    private readonly TransformerParameter[] _parameters;
    private readonly Tensor[] _buffers;

    /// <summary>Creates the optimizer with zero momentum.</summary>
    /// <param name="parameters">Hidden matrices; parts of one parameter are treated as separate matrices.</param>
    /// <param name="momentum">Decay of the momentum.</param>
    /// <param name="weightDecay">Share of lr by which weights shrink each step.</param>
    public Muon(IEnumerable<TransformerParameter> parameters, double momentum = 0.95, double weightDecay = 0)
    {
        (_momentum, _weightDecay) = (momentum, weightDecay);
        _parameters = [.. parameters];
        _buffers = [.. _parameters.Select(p => OptimizerState.ZerosLike(p.Value))];
    }

    /// <summary>Momentum buffers, in a fixed order; copy into these to resume.</summary>
    public IReadOnlyList<Tensor> State => _buffers;

    /// <summary>Updates the matrices from their gradients and clears the gradients.</summary>
    /// <param name="learningRate">Learning rate of this step: about the norm of the change of each row, so 0.01 to 0.03.</param>
    public void Step(double learningRate)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        var byShape = new Dictionary<(long Rows, long Columns), List<(Tensor Weight, Tensor Update)>>();
        for (var i = 0; i < _parameters.Length; i++)
        {
            if (_parameters[i].Value.grad is not { } gradient)
            {
                continue;
            }

            _buffers[i].lerp_(gradient, 1 - _momentum);
            gradient.lerp_(_buffers[i], _momentum);
            var at = 0L;
            foreach (var part in _parameters[i].Parts)
            {
                var weight = _parameters[i].Value.narrow(0, at, part.Rows);
                var key = (weight.shape[0], weight.shape[1]);
                if (!byShape.TryGetValue(key, out var list))
                {
                    byShape[key] = list = [];
                }

                list.Add((weight, gradient.narrow(0, at, part.Rows)));
                at += part.Rows;
            }
        }

        foreach (var ((rows, columns), list) in byShape)
        {
            var updates = Orthogonalize(stack(list.Select(e => e.Update)));                     // [n, rows, columns]
            var step = -learningRate * Math.Sqrt(Math.Max(1.0, (double)rows / columns));
            for (var i = 0; i < list.Count; i++)
            {
                if (_weightDecay != 0)
                {
                    list[i].Weight.mul_(1 - (learningRate * _weightDecay));
                }

                list[i].Weight.add_(updates[i], step);
            }
        }

        foreach (var parameter in _parameters)
        {
            parameter.Value.grad?.zero_();
        }
    }

    /// <summary>Brings all singular values of each matrix near 1 (0.7 to 1.2) by the quintic Newton-Schulz iteration.</summary>
    /// <param name="matrices">[n, rows, columns].</param>
    /// <param name="steps">Iterations.</param>
    /// <returns>[n, rows, columns], fp32.</returns>
    internal static Tensor Orthogonalize(Tensor matrices, int steps = 5)
    {
        const double a = 3.4445, b = -4.7750, c = 2.0315;
        var type = ComputeOptions.CpuHasBFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;
        var tall = matrices.shape[1] > matrices.shape[2];
        var x = (tall ? matrices.transpose(1, 2) : matrices).to_type(ScalarType.Float32);
        x = (x / (x.square().sum([1, 2], keepdim: true).sqrt() + 1e-7)).to_type(type).contiguous();
        for (var i = 0; i < steps; i++)
        {
            var gram = bmm(x, x.transpose(1, 2));
            var polynomial = bmm(gram, gram).mul_(c).add_(gram, b);
            x = bmm(polynomial, x).add_(x, a);
        }

        return (tall ? x.transpose(1, 2) : x).to_type(ScalarType.Float32);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var buffer in _buffers)
        {
            buffer.Dispose();
        }
    }
}
