using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime;

/// <summary>One question to a model.</summary>
public sealed record ReasoningRequest
{
    /// <summary>The conversation so far; the last turn is the user's question. Roles: "system" (first only), "user", "assistant". Reasoning of earlier answers is left out.</summary>
    public required IReadOnlyList<ChatTurn> Turns { get; init; }

    /// <summary>
    /// An adapter's name, "base", "auto" or null for the bundle's default mode. "auto" lets the bundle's switcher choose by the prompt
    /// (paper, section 3); <see cref="ReasoningResult.Routing"/> tells what it chose.
    /// </summary>
    public string? Mode { get; init; }

    /// <summary>
    /// Mode "auto" reasons when the switcher's probability that the prompt needs reasoning is at least this, 0 to 1; 0 = always.
    /// Null = the bundle's threshold. Other modes do not look at it.
    /// </summary>
    public double? SwitcherThreshold { get; init; }

    /// <summary>Most tokens to generate before the answer is forced; also stated in the prompt. Null = none.</summary>
    public int? Budget { get; init; }

    /// <summary>
    /// Independent answers that are sampled as one batch from one encoded prompt and then vote (paper, section 5), 1 to 1024. Default 1.
    /// <see cref="Budget"/> and <see cref="MaxTokens"/> hold for each stream. Where the switcher chooses the base, one stream answers: direct
    /// answers of a prompt found easy gain nothing from a vote.
    /// </summary>
    public int Streams { get; init; } = 1;

    /// <summary>How streams vote and when they stop early. Default: a vote weighted by the verifier, no early stopping.</summary>
    public VotingOptions Voting { get; init; } = VotingOptions.Default;

    /// <summary>
    /// How the next token is chosen. Default: greedy. Greedy streams would all be the same, so with more than one stream greedy means
    /// temperature <see cref="VotingOptions.DefaultTemperature"/>.
    /// </summary>
    public SamplingOptions Sampling { get; init; } = SamplingOptions.Greedy;

    /// <summary>Most tokens to generate in all; generation simply ends there. Null = as many as the context holds.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Texts that end the answer; they are not part of it. They are looked for in the answer, not in the reasoning, also across token boundaries.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>
    /// Most tokens that are guessed ahead of the model and checked in one of its passes, 0 (off) to 15. They come from the text so far, where it repeats itself, and
    /// from the tags that are known (docs/performance.md, "Speculation"). The answer is the same with and without, token for token, sampled or greedy; only time
    /// and <see cref="Usage.Passes"/> change. How many are tried follows from how many were right. A single stream without probes uses them. Default 15.
    /// </summary>
    public int DraftTokens { get; init; } = MaxDraftTokens;

    internal const int MaxDraftTokens = Sessions.TokenCache.MaxRows - 1;

    /// <summary>A request of a single user message.</summary>
    /// <param name="question">The user's message.</param>
    public static ReasoningRequest FromQuestion(string question) => new() { Turns = [new ChatTurn("user", question)] };
}
