using System.Numerics.Tensors;

namespace ModelSdk.Runtime.Voting;

/// <summary>
/// Mean confidence of the last tokens of a stream (<see cref="VotingOptions.DropBelow"/>). After DeepConf (Fu et al., arXiv 2508.15260), which stops traces
/// whose confidence over a sliding window falls below a threshold. DeepConf's token confidence is the negative mean log-probability of the top tokens; here it is the
/// probability of the token that was chosen, which has a scale of 0 to 1 whatever the vocabulary, and also sees an unlikely choice where the model was sure of another.
/// </summary>
/// <param name="size">Tokens of the window, from 1.</param>
public sealed class ConfidenceWindow(int size)
{
    private readonly double[] _values = new double[size];
    private int _count;
    private double _sum;

    /// <summary>Adds a token and says whether the window is full and its mean lies below the threshold.</summary>
    /// <param name="confidence">The token's confidence, 0 to 1.</param>
    /// <param name="threshold">The least mean that is good enough.</param>
    public bool FallsBelow(double confidence, double threshold)
    {
        int slot = _count++ % _values.Length;
        _sum += confidence - _values[slot];
        _values[slot] = confidence;
        return _count >= _values.Length && _sum / _values.Length < threshold;
    }

    /// <summary>Confidence of a token: its probability at temperature 1.</summary>
    /// <param name="logits">[V]</param>
    /// <param name="token">The token that was chosen.</param>
    public static double OfToken(ReadOnlySpan<float> logits, int token)
    {
        float max = TensorPrimitives.Max(logits);
        double sum = 0;
        foreach (float logit in logits)
            sum += Math.Exp(logit - max);
        return Math.Exp(logits[token] - max) / sum;
    }
}
