using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training.Optimizers;

/// <summary>Limits the norm of all gradients together.</summary>
public static class GradientClipping
{
    /// <summary>Scales gradients so that their joint L2 norm is at most <paramref name="maxNorm"/>.</summary>
    /// <param name="parameters">Parameters; those without a gradient are skipped.</param>
    /// <param name="maxNorm">Limit; 0 only measures.</param>
    /// <returns>The norm before scaling; NaN or infinite where a gradient is.</returns>
    public static double Clip(IEnumerable<Tensor> parameters, double maxNorm)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        var all = parameters.Select(p => p.grad).Where(g => g is not null).Select(g => g!).ToArray();
        if (all.Length == 0)
        {
            return 0;
        }

        var norm = stack(all.Select(g => g.norm())).norm().to_type(ScalarType.Float64).item<double>();
        if (maxNorm > 0 && norm > maxNorm)
        {
            using Scalar factor = (maxNorm / (norm + 1e-6)).ToScalar();
            foreach (var gradient in all)
            {
                gradient.mul_(factor);
            }
        }

        return norm;
    }
}
