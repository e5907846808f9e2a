using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Decoding;

/// <summary>The verifier of one adapter (paper, section 5): its prompt is appended to an answer, and one output is read behind its last token.</summary>
/// <param name="Graph">The verifier's graph.</param>
/// <param name="Tokens">Tokens of the verification prompt.</param>
/// <param name="Confidence">What the model's own confidence adds to the logit; null when the hidden state decides alone.</param>
internal sealed record AnswerVerifier(GraphSession Graph, int[] Tokens, BundleConfidence? Confidence = null)
{
    /// <summary>Keeps what the verifier wants to know of a sequence while it is generated; null when it wants nothing.</summary>
    public ConfidenceRecorder? Recorder() => Confidence is null ? null : new ConfidenceRecorder();

    /// <summary>P(the answer is right) from the verifier's logit and the sequence's confidence.</summary>
    /// <param name="logit">Output of the graph.</param>
    /// <param name="position">Place of the token it was read behind, for errors.</param>
    /// <param name="own">The sequence's confidence, from a <see cref="Recorder"/>; not read where <see cref="Confidence"/> is null.</param>
    /// <exception cref="InvalidLogitsException">The logit is no number.</exception>
    public double Probability(float logit, int position, SequenceConfidence own)
    {
        if (float.IsNaN(logit))
            throw new InvalidLogitsException(Graph.Mode, position);
        return 1 / (1 + Math.Exp(-(logit + (Confidence?.Logit(own) ?? 0))));
    }
}
