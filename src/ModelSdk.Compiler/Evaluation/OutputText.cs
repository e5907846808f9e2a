namespace ModelSdk.Compiler.Evaluation;

/// <summary>Splits a decoded output into reasoning and answer.</summary>
internal static class OutputText
{
    /// <summary>Reasoning is what stands between the tags at the start; without a closing tag there is no answer yet.</summary>
    public static (string? Reasoning, string Answer) Split(string text, string open, string close)
    {
        string trimmed = text.TrimStart();
        if (!trimmed.StartsWith(open, StringComparison.Ordinal))
        {
            return (null, text.Trim());
        }

        string rest = trimmed[open.Length..];
        int end = rest.IndexOf(close, StringComparison.Ordinal);
        return end < 0 ? (rest.Trim(), "") : (rest[..end].Trim(), rest[(end + close.Length)..].Trim());
    }
}
