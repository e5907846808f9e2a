namespace ModelSdk.Runtime.Text;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">"system", "user" or "assistant".</param>
/// <param name="Content">The message's text.</param>
public sealed record ChatTurn(string Role, string Content);
