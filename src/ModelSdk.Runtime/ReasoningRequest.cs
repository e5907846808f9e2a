using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime;

/// <summary>One question to a model.</summary>
public sealed record ReasoningRequest
{
    /// <summary>The conversation so far; the last turn is the user's question. Roles: "system" (first only), "user", "assistant". Reasoning of earlier answers is left out.</summary>
    public required IReadOnlyList<ChatTurn> Turns { get; init; }

    /// <summary>An adapter's name, "base", or null for the bundle's default mode.</summary>
    public string? Mode { get; init; }

    /// <summary>Most tokens to generate before the answer is forced; also stated in the prompt. Null = none.</summary>
    public int? Budget { get; init; }

    /// <summary>How the next token is chosen. Default: greedy.</summary>
    public SamplingOptions Sampling { get; init; } = SamplingOptions.Greedy;

    /// <summary>Most tokens to generate in all; generation simply ends there. Null = as many as the context holds.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Texts that end the answer; they are not part of it. They are looked for in the answer, not in the reasoning, also across token boundaries.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>A request of a single user message.</summary>
    /// <param name="question">The user's message.</param>
    public static ReasoningRequest FromQuestion(string question) => new() { Turns = [new ChatTurn("user", question)] };
}
