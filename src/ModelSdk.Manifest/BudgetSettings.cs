namespace ModelSdk.Manifest;

/// <summary>
/// A named limit on the tokens generated before the forced answer: stated in the prompt (soft) and enforced by a cut
/// (hard) (paper 4).
/// </summary>
public sealed record BudgetSettings
{
    /// <summary>The most streams of one answer: 64. Votes change little beyond 8 (paper 5), and each needs a KV cache.</summary>
    public const int MaxStreams = 64;

    /// <summary>The name in the manifest.</summary>
    public string Name { get; init; } = "";

    /// <summary>The C# member that the name becomes.</summary>
    public string Identifier { get; init; } = "";

    /// <summary>Tokens, from 1; with the forced answer and a prompt it must fit the context.</summary>
    public int Tokens { get; init; }

    /// <summary>
    /// Independent answers that vote, 1 to <see cref="MaxStreams"/>; the tokens are the limit of each (paper 5). Default
    /// 1: no vote.
    /// </summary>
    public int Streams { get; init; } = 1;
}
