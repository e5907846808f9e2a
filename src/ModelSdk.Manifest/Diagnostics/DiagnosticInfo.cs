namespace ModelSdk.Manifest;

/// <summary>What a diagnostic code means, wherever it is reported.</summary>
/// <param name="Code"><c>MDL</c> and four digits.</param>
/// <param name="Title">The meaning in a few words; the heading of its section in docs/diagnostics.md.</param>
public sealed record DiagnosticInfo(string Code, string Title)
{
    /// <summary>Where the code is explained.</summary>
    public string HelpLink => DiagnosticCodes.HelpLink(Code);
}
