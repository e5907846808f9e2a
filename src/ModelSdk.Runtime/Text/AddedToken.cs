namespace ModelSdk.Runtime.Text;

/// <summary>A token that is found in the text as it stands, before byte-pair encoding.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Content">The text.</param>
/// <param name="Special">Whether decoding may skip it (control tokens).</param>
/// <param name="Normalized">Whether it is searched in normalized text instead of in the text as given.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool Normalized);
