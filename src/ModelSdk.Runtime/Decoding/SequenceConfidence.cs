using System.Numerics.Tensors;

namespace ModelSdk.Runtime.Decoding;

/// <summary>How sure the model was of the tokens it generated, whatever the temperature they were sampled at: log probabilities under softmax(logits).</summary>
/// <param name="Least">The least sure token's, at most 0.</param>
/// <param name="Mean">Mean of all, at most 0; 0 without tokens.</param>
public readonly record struct SequenceConfidence(double Least, double Mean);

/// <summary>Keeps the confidence of one sequence while it is generated. Tokens that were appended are not its own and do not count.</summary>
internal sealed class ConfidenceRecorder
{
    private float[] _terms = [];
    private double _sum;
    private double _least;
    private int _count;

    /// <summary>The confidence so far.</summary>
    public SequenceConfidence Value => new(_least, _count == 0 ? 0 : _sum / _count);

    /// <summary>Adds a token that was chosen.</summary>
    /// <param name="token">The token.</param>
    /// <param name="logits">[V].</param>
    public void Add(int token, ReadOnlySpan<float> logits)
    {
        if (_terms.Length < logits.Length)
            _terms = new float[logits.Length];
        Span<float> terms = _terms.AsSpan(0, logits.Length);
        float max = TensorPrimitives.Max(logits);
        TensorPrimitives.Subtract(logits, max, terms);
        TensorPrimitives.Exp(terms, terms);
        double logProb = logits[token] - max - Math.Log(TensorPrimitives.Sum(terms));
        _sum += logProb;
        _least = Math.Min(_least, logProb);
        _count++;
    }
}
