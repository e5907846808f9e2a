namespace ModelSdk.Runtime.Decoding;

/// <summary>One generated sequence.</summary>
/// <param name="Prompt">Index of its prompt.</param>
/// <param name="Sample">Index among the prompt's samples.</param>
/// <param name="Tokens">Tokens behind the generation prompt in the order in which the model saw them: generated ones, those appended to force an answer, and the end of turn where <paramref name="Ended"/>.</param>
/// <param name="LogProbs">For each token its log probability under softmax(logits / temperature) over the whole vocabulary, before top-k and top-p; temperature 1 when greedy. 0 for tokens that were appended and not chosen.</param>
/// <param name="Ended">Whether the model ended its turn; the last token is then the end of turn.</param>
/// <param name="ForcedAt">Index of the first of the tokens appended to force an answer; -1 where none was forced.</param>
/// <param name="ForcedTokens">Number of tokens appended to force an answer.</param>
/// <param name="Text">The answer: what follows the reasoning block.</param>
/// <param name="Reasoning">Text of the reasoning block without its tags; null when there is none.</param>
/// <param name="Finish">Why generation ended.</param>
public sealed record BatchSequence(
    int Prompt,
    int Sample,
    int[] Tokens,
    float[] LogProbs,
    bool Ended,
    int ForcedAt,
    int ForcedTokens,
    string Text,
    string? Reasoning,
    FinishReason Finish)
{
    /// <summary>Whether the reasoning was cut and the answer forced.</summary>
    public bool Forced => ForcedAt >= 0;

    /// <summary>The verifier's probability that the answer is right; null when none was asked.</summary>
    public double? Score { get; init; }

    /// <summary>How sure the model was of the tokens it chose.</summary>
    public SequenceConfidence Confidence { get; init; }

    /// <summary>Generated tokens as <see cref="Usage.GeneratedTokens"/> counts them: neither the end of turn nor tokens that were appended.</summary>
    public int GeneratedTokens => Tokens.Length - ForcedTokens - (Ended ? 1 : 0);
}

/// <summary>How far a batch is.</summary>
/// <param name="Finished">Finished sequences.</param>
/// <param name="Sequences">All sequences.</param>
/// <param name="Tokens">Tokens generated so far.</param>
public readonly record struct BatchProgress(int Finished, int Sequences, long Tokens);
