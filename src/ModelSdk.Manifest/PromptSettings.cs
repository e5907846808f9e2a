namespace ModelSdk.Manifest;

/// <summary>Texts that are put into prompts and answers.</summary>
public sealed record PromptSettings
{
    /// <summary>The placeholder in <see cref="Budget"/> that the number of tokens replaces.</summary>
    public const string BudgetPlaceholder = "{budget}";

    /// <summary>The system text; null (default) is the chat template's own default.</summary>
    public string? System { get; init; }

    /// <summary>
    /// Appended to the last user message, after one space, when a budget is given. Default
    /// <c>Use at most {budget} tokens.</c>: the budget is stated in the prompt (paper 4).
    /// </summary>
    public string Budget { get; init; } = "Use at most {budget} tokens.";

    /// <summary>What opens the reasoning. Default <c>&lt;think&gt;</c>, as in the traces of the paper's data (paper 2).</summary>
    public string ThinkOpen { get; init; } = "<think>";

    /// <summary>What closes the reasoning. Default <c>&lt;/think&gt;</c>; the answer begins after it (paper 2).</summary>
    public string ThinkClose { get; init; } = "</think>";

    /// <summary>
    /// Appended when a hard budget cuts inside the reasoning; makes the model answer at once (paper 4). Default
    /// <c>&lt;/think&gt;</c> and an empty line, which is how traces go from reasoning to answer; with another
    /// <see cref="ThinkClose"/>, that and an empty line.
    /// </summary>
    public string ForceAnswer { get; init; } = "</think>\n\n";
}
