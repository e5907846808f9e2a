using System.Numerics.Tensors;

namespace ModelSdk.Runtime.Decoding;

/// <summary>Keeps the tokens of a sequence and how likely each was.</summary>
/// <param name="sampling">Its temperature is that of the log probabilities; greedy: 1.</param>
/// <param name="scratch">Memory for a vocabulary of numbers; sequences may share it.</param>
internal sealed class SequenceRecorder(SamplingOptions sampling, float[] scratch)
{
    private readonly List<int> _tokens = [];
    private readonly List<float> _logProbs = [];
    private int _forcedAt = -1;
    private int _forcedTokens;

    /// <summary>Adds a token that was chosen.</summary>
    public void Chosen(int token, ReadOnlySpan<float> logits)
    {
        _tokens.Add(token);
        _logProbs.Add(LogProb(token, logits));
    }

    /// <summary>Adds tokens that were appended to force an answer.</summary>
    public void Appended(ReadOnlySpan<int> tokens)
    {
        _forcedAt = _tokens.Count;
        _forcedTokens = tokens.Length;
        foreach (int token in tokens)
        {
            _tokens.Add(token);
            _logProbs.Add(0);
        }
    }

    /// <summary>The sequence, once it has ended.</summary>
    public BatchSequence Sequence(int prompt, int sample, StreamState state) =>
        new(prompt, sample, [.. _tokens], [.. _logProbs], state.Ended, _forcedAt, _forcedTokens, state.Answer, state.Reasoning, state.Finish);

    private float LogProb(int token, ReadOnlySpan<float> logits)
    {
        float inverse = sampling.Temperature > 0 ? (float)(1 / sampling.Temperature) : 1;
        float max = TensorPrimitives.Max(logits);
        Span<float> terms = scratch.AsSpan(0, logits.Length);
        TensorPrimitives.Subtract(logits, max, terms);
        TensorPrimitives.Multiply(terms, inverse, terms);
        TensorPrimitives.Exp(terms, terms);
        return (float)(((double)(logits[token] - max) * inverse) - Math.Log(TensorPrimitives.Sum(terms)));
    }
}
