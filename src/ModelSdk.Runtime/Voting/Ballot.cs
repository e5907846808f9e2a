using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Runtime.Voting;

/// <summary>What a finished stream votes for.</summary>
internal static class Ballot
{
    /// <summary>The stream's normalised answer; null when it has no vote: its text cannot be read, or <see cref="ReasoningRequest.MaxTokens"/> may have cut a digit off it.</summary>
    public static string? Of(BundleAnswer type, StreamState stream) =>
        stream.Finish == FinishReason.MaxTokens ? null : AnswerNormalizer.Normalize(type, stream.Answer);
}
