using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>
/// The loss of GRPO (paper 4) over some tokens: minus the clipped ratio times the advantage, plus beta times the k3 estimate of the
/// distance to the reference. With r = exp(logp - old) and d = reference - logp a token adds
/// -min(r A, clip(r, 1 - low, 1 + high) A) + beta (exp(d) - d - 1), all of logits divided by the sampling temperature.
/// </summary>
internal sealed class PolicyLoss : ILogitsLoss
{
    /// <summary>Tokens that were sampled.</summary>
    public required long[] Targets { get; init; }

    /// <summary>Their log-probabilities under the policy that sampled them.</summary>
    public required float[] Old { get; init; }

    /// <summary>Their log-probabilities under the reference; null where beta is 0.</summary>
    public required float[]? Reference { get; init; }

    /// <summary>Advantage of the completion that each token belongs to.</summary>
    public required float[] Advantages { get; init; }

    /// <summary>Sampling temperature.</summary>
    public required double Temperature { get; init; }

    /// <summary>Ratios below 1 minus this do not lower a bad token any more.</summary>
    public required double ClipLow { get; init; }

    /// <summary>Ratios above 1 plus this do not raise a good token any more.</summary>
    public required double ClipHigh { get; init; }

    /// <summary>Weight of the distance to the reference.</summary>
    public required double Beta { get; init; }

    /// <summary>Multiplies the sum: 1 / active tokens of the step.</summary>
    public required double Scale { get; init; }

    /// <summary>Log-probabilities under the policy; set when the loss has been computed.</summary>
    public float[] Found { get; private set; } = [];

    /// <summary>Loss of one token and its derivative by the token's log-probability; both without <see cref="Scale"/>.</summary>
    public (double Loss, double Derivative, double Kl, bool Clipped) Token(int row, float logProb)
    {
        double advantage = Advantages[row], ratio = Math.Exp((double)logProb - Old[row]);
        var clipped = advantage > 0 ? ratio > 1 + ClipHigh : advantage < 0 && ratio < 1 - ClipLow;
        var bounded = clipped ? (advantage > 0 ? 1 + ClipHigh : 1 - ClipLow) : ratio;
        double kl = 0, slope = 0;
        if (Reference is not null)
        {
            var distance = (double)Reference[row] - logProb;
            var exponential = Math.Exp(distance);
            (kl, slope) = (exponential - distance - 1, 1 - exponential);
        }

        return ((-advantage * bounded) + (Beta * kl), (clipped ? 0 : -advantage * ratio) + (Beta * slope), kl, clipped);
    }

    public double Run<T>(Tensor logits, int first)
        where T : IElement
    {
        var rows = first..(first + (int)logits.shape[0]);
        var found = PolicyKernel.Run<T>(logits, Targets[rows], Temperature, (row, logProb) => Scale * Token(first + row, logProb).Derivative);
        Found = [.. Found[..first], .. found];
        return found.Select((logProb, row) => Scale * Token(first + row, logProb).Loss).Sum();
    }

    /// <summary>The same of Torch's operators, differentiated by Torch: runs where kernels cannot, and tests them.</summary>
    /// <param name="logits">fp32 [N, V].</param>
    public Tensor Composed(Tensor logits)
    {
        var logProbs = LogProbs(logits, Targets, Temperature);                                  // [N]
        Found = Transformer.Values(logProbs);
        var advantages = tensor(Advantages, device: logits.device);
        var ratio = (logProbs - tensor(Old, device: logits.device)).exp();
        var each = -torch.minimum(ratio * advantages, ratio.clamp(1 - ClipLow, 1 + ClipHigh) * advantages);
        if (Reference is not null)
        {
            var distance = tensor(Reference, device: logits.device) - logProbs;
            each = each + ((distance.exp() - distance - 1) * Beta);
        }

        return each.sum() * Scale;
    }

    /// <summary>log softmax(logits / temperature) at the targets: [N].</summary>
    public static Tensor LogProbs(Tensor logits, long[] targets, double temperature) =>
        nn.functional.log_softmax(logits / temperature, -1).gather(1, tensor(targets, device: logits.device).unsqueeze(1)).squeeze(1);
}
