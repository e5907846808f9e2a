using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Decoding;

/// <summary>The verifier of one adapter (paper, section 5): its prompt is appended to an answer, and one output is read behind its last token.</summary>
/// <param name="Graph">The verifier's graph.</param>
/// <param name="Tokens">Tokens of the verification prompt.</param>
internal sealed record AnswerVerifier(GraphSession Graph, int[] Tokens)
{
    /// <summary>P(the answer is right) from the verifier's logit.</summary>
    /// <exception cref="InvalidLogitsException">The logit is no number.</exception>
    public double Probability(float logit, int position) =>
        float.IsNaN(logit) ? throw new InvalidLogitsException(Graph.Mode, position) : 1 / (1 + Math.Exp(-logit));
}
