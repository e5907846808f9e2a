using System.Globalization;

namespace ModelSdk.Manifest.Binding;

/// <summary>
/// Whether budgets fit the context. A call takes prompt, generated tokens and, after a hard cut, the forced answer: what
/// a budget leaves must hold at least a short prompt.
/// </summary>
internal static class ContextFit
{
    /// <summary>Tokens of the shortest sensible prompt: the chat template's markers and a few words.</summary>
    public const int SmallestPrompt = 16;

    /// <summary>Reports what does not fit, by its place in the manifest, with code and message.</summary>
    public static void Check(ModelManifest manifest, int context, Action<string, string, string> report)
    {
        foreach (BudgetSettings budget in manifest.Budgets)
            Check($"The budget '{budget.Name}'", budget.Tokens, "budgets/" + budget.Name);
        foreach (AdapterSettings adapter in manifest.Adapters)
        {
            if (adapter.Budget is { } forcing)
                Check($"'maxTokens' in the budget forcing of '{adapter.Name}'", forcing.MaxTokens, $"adapters/{adapter.Name}/budget/maxTokens");
        }

        if (manifest.Evaluation is { } evaluation)
        {
            Check("'maxTokens' of the evaluation", evaluation.MaxTokens, "evaluation/maxTokens");
            if (evaluation.Budget is { } stated) Check("'budget' of the evaluation", stated, "evaluation/budget");
            if (evaluation.HardBudgets.Count > 0) Check("The longest of 'hardBudgets'", evaluation.HardBudgets.Max(), "evaluation/hardBudgets");
        }

        void Check(string what, int tokens, string pointer)
        {
            if ((long)tokens + manifest.AnswerTokens + SmallestPrompt <= context) return;
            report(
                pointer,
                DiagnosticCodes.BudgetExceedsContext,
                string.Format(
                    CultureInfo.InvariantCulture,
                    "{0} of {1} tokens cannot fit a context of {2}: the forced answer takes {3} more, and a prompt at least {4}. At most {5} fit; lower it, or raise 'context'.",
                    what,
                    tokens,
                    context,
                    manifest.AnswerTokens,
                    SmallestPrompt,
                    Math.Max(0, context - manifest.AnswerTokens - SmallestPrompt)));
        }
    }
}
