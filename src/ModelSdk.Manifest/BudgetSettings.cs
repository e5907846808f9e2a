namespace ModelSdk.Manifest;

/// <summary>
/// A named limit on the tokens generated before the forced answer: stated in the prompt (soft) and enforced by a cut
/// (hard) (paper 4).
/// </summary>
public sealed record BudgetSettings
{
    /// <summary>The name in the manifest.</summary>
    public string Name { get; init; } = "";

    /// <summary>The C# member that the name becomes.</summary>
    public string Identifier { get; init; } = "";

    /// <summary>Tokens, from 1; with the forced answer and a prompt it must fit the context.</summary>
    public int Tokens { get; init; }
}
