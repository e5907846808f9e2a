namespace ModelSdk.Runtime;

/// <summary>A model's answer.</summary>
/// <param name="Text">The answer: what follows the reasoning block.</param>
/// <param name="Reasoning">The text of the reasoning block without its tags; null when the model wrote none.</param>
/// <param name="Mode">The mode that answered: an adapter's name or "base".</param>
/// <param name="Usage">Tokens run and generated.</param>
/// <param name="Finish">Why generation ended.</param>
/// <remarks>With several streams, text, reasoning and finish are those of the stream that won the vote: the surest of those that gave the winning answer.</remarks>
public sealed record ReasoningResult(string Text, string? Reasoning, string Mode, Usage Usage, FinishReason Finish)
{
    /// <summary>
    /// Estimated probability that the answer is right, 0 to 1: <see cref="Vote.Confidence"/> of the winning answer; 0 when no stream gave
    /// an answer that can be read. Null when there is nothing to judge by: one stream, and no verifier.
    /// </summary>
    public double? Confidence { get; init; }

    /// <summary>The different answers of all streams, the winner first; empty when there was no vote: one stream, and no verifier.</summary>
    public IReadOnlyList<Vote> Votes { get; init; } = [];

    /// <summary>What the switcher chose, and why; null when the mode was named.</summary>
    public Routing? Routing { get; init; }
}

/// <summary>One answer that streams voted for.</summary>
/// <param name="Text">The answer, normalised by the bundle's answer type: "16" for "16.0" and "The answer is 16."; text as the first stream wrote it, white space collapsed.</param>
/// <param name="Streams">Streams that gave it.</param>
/// <param name="Weight">Sum of their weights: the verifier's probabilities, or 1 each in a majority vote.</param>
/// <param name="Confidence">
/// Estimated probability that this answer is right: its share of all weights, times the probability that at least one stream is right,
/// 1 - (1-w1)(1-w2)... over the weights of all streams that vote. So one stream has its verifier's probability, many agreeing streams approach 1, and the
/// confidences of all answers sum to at most 1. In a majority vote (weights 1) it is the share of the votes.
/// </param>
public sealed record Vote(string Text, int Streams, double Weight, double Confidence);

/// <summary>The choice of the switcher (paper, section 3).</summary>
/// <param name="Score">The switcher's probability that the prompt needs reasoning: 1 - P(base).</param>
/// <param name="Threshold">The threshold it was compared with; a score of at least this reasons.</param>
/// <param name="Mode">The mode that answered: the adapter with the highest probability, or "base".</param>
public sealed record Routing(double Score, double Threshold, string Mode);

/// <summary>Tokens of one call; generated tokens are those of all its streams together.</summary>
/// <param name="PromptTokens">Tokens of the rendered prompt, generation prompt included.</param>
/// <param name="EncodedPromptTokens">Prompt tokens that the base ran in this call. In a reasoning mode the generation prompt is run by the adapter and counts here neither.</param>
/// <param name="ReusedPromptTokens">Prompt tokens whose keys and values were in the cache already.</param>
/// <param name="ReasoningTokens">Generated tokens of the reasoning block, its tags included.</param>
/// <param name="AnswerTokens">Generated tokens of the answer. The end-of-turn token and text appended to force an answer are not counted.</param>
/// <param name="Budget">The token budget of each stream; null = none.</param>
/// <param name="Forced">Whether the reasoning was cut and the answer forced, in the stream that answered.</param>
public sealed record Usage(
    int PromptTokens,
    int EncodedPromptTokens,
    int ReusedPromptTokens,
    int ReasoningTokens,
    int AnswerTokens,
    int? Budget,
    bool Forced)
{
    /// <summary>Streams that were started; 1 without a vote.</summary>
    public int Streams { get; init; } = 1;

    /// <summary>Tokens generated to probe for an answer in mid-reasoning (<see cref="VotingOptions.ProbeStable"/>) and then taken back.</summary>
    public int ProbeTokens { get; init; }

    /// <summary>
    /// Model passes that generated tokens: those behind the prompt, text that forces an answer included, verification not. Fewer than the tokens where several
    /// were guessed right (<see cref="ReasoningRequest.DraftTokens"/>) or streams ran side by side.
    /// </summary>
    public int Passes { get; init; }

    /// <summary>Tokens that were guessed ahead of the model (<see cref="ReasoningRequest.DraftTokens"/>); they count nowhere else.</summary>
    public int DraftedTokens { get; init; }

    /// <summary>Those of <see cref="DraftedTokens"/> that the model chose too: passes that were spared.</summary>
    public int AcceptedTokens { get; init; }

    /// <summary>All generated tokens: reasoning, answers and probes of all streams.</summary>
    public int GeneratedTokens => ReasoningTokens + AnswerTokens + ProbeTokens;
}

/// <summary>Why generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended its turn.</summary>
    Stop,

    /// <summary>A stop text of the request appeared in the answer.</summary>
    StopText,

    /// <summary><see cref="ReasoningRequest.MaxTokens"/> was reached.</summary>
    MaxTokens,

    /// <summary>The token budget cut the generation; <see cref="Usage.Forced"/> tells whether the answer was forced.</summary>
    Budget,

    /// <summary>The context was full; <see cref="Usage.Forced"/> tells whether the answer was forced.</summary>
    Context,

    /// <summary>Probes gave the same answer <see cref="VotingOptions.ProbeStable"/> times in a row, so the reasoning was ended with it.</summary>
    Stable,
}

/// <summary>Which part of the output an update belongs to.</summary>
public enum UpdateKind
{
    /// <summary>Text of the reasoning block.</summary>
    Reasoning,

    /// <summary>Text of the answer.</summary>
    Answer,
}

/// <summary>A piece of a streamed answer. The texts of one kind, joined, are the text of the result.</summary>
/// <param name="Kind">Reasoning or answer.</param>
/// <param name="Text">New text; empty only in the last update.</param>
/// <param name="Completed">The whole result; set in the last update only.</param>
public sealed record ReasoningUpdate(UpdateKind Kind, string Text, ReasoningResult? Completed = null);

/// <summary>A named token budget.</summary>
/// <param name="Name">The budget's name in the manifest.</param>
/// <param name="Tokens">Most tokens generated before the answer is forced.</param>
/// <param name="Streams">Parallel streams of a request with this budget.</param>
public readonly record struct ReasoningBudget(string Name, int Tokens, int Streams = 1);

/// <summary>A named reasoning adapter.</summary>
/// <param name="Name">The adapter's name in the manifest.</param>
public readonly record struct ReasoningAdapter(string Name);
