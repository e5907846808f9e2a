namespace ModelSdk.Runtime;

/// <summary>A model's answer.</summary>
/// <param name="Text">The answer: what follows the reasoning block.</param>
/// <param name="Reasoning">The text of the reasoning block without its tags; null when the model wrote none.</param>
/// <param name="Mode">The mode that answered: an adapter's name or "base".</param>
/// <param name="Usage">Tokens run and generated.</param>
/// <param name="Finish">Why generation ended.</param>
public sealed record ReasoningResult(string Text, string? Reasoning, string Mode, Usage Usage, FinishReason Finish);

/// <summary>Tokens of one call.</summary>
/// <param name="PromptTokens">Tokens of the rendered prompt, generation prompt included.</param>
/// <param name="EncodedPromptTokens">Prompt tokens that the base ran in this call. In a reasoning mode the generation prompt is run by the adapter and counts here neither.</param>
/// <param name="ReusedPromptTokens">Prompt tokens whose keys and values were in the cache already.</param>
/// <param name="ReasoningTokens">Generated tokens of the reasoning block, its tags included.</param>
/// <param name="AnswerTokens">Generated tokens of the answer. The end-of-turn token and text appended to force an answer are not counted.</param>
/// <param name="Budget">The token budget of the call; null = none.</param>
/// <param name="Forced">Whether the reasoning was cut and the answer forced.</param>
public sealed record Usage(
    int PromptTokens,
    int EncodedPromptTokens,
    int ReusedPromptTokens,
    int ReasoningTokens,
    int AnswerTokens,
    int? Budget,
    bool Forced)
{
    /// <summary>All generated tokens.</summary>
    public int GeneratedTokens => ReasoningTokens + AnswerTokens;
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
public readonly record struct ReasoningBudget(string Name, int Tokens);

/// <summary>A named reasoning adapter.</summary>
/// <param name="Name">The adapter's name in the manifest.</param>
public readonly record struct ReasoningAdapter(string Name);
