using System.Globalization;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Decoding;

/// <summary>A rendered and tokenized prompt.</summary>
/// <param name="Tokens">All tokens, generation prompt included.</param>
/// <param name="Boundary">Where the generation prompt begins: tokens before it are always run by the base, those from it on by the mode that answers.</param>
internal sealed record Prompt(int[] Tokens, int Boundary)
{
    /// <summary>Renders a request with the bundle's system text and states the budget in it (paper, section 4).</summary>
    public static Prompt Create(ReasoningRequest request, BundleManifest bundle, ChatTemplate template, Tokenizer tokenizer)
    {
        // The generation prompt begins with a special token, which always splits the text: the parts may be tokenized one by one.
        int[] conversation = Render(request.Turns, bundle.Prompt.System, bundle.Prompt.Budget, request.Budget, template, tokenizer);
        int[] generation = tokenizer.Encode(template.GenerationPrompt);
        return new Prompt([.. conversation, .. generation], conversation.Length);
    }

    /// <summary>Tokens of a conversation before the generation prompt: training and measurements encode by this, too.</summary>
    /// <param name="turns">At least one.</param>
    /// <param name="system">System text for conversations that have none; null leaves it to the template.</param>
    /// <param name="budgetText">How a budget is stated, with <c>{budget}</c> for the number; null or empty states none.</param>
    /// <param name="budget">Budget in tokens; null: none.</param>
    /// <param name="template">Chat template.</param>
    /// <param name="tokenizer">Tokenizer.</param>
    public static int[] Render(IReadOnlyList<ChatTurn> turns, string? system, string? budgetText, int? budget, ChatTemplate template, Tokenizer tokenizer)
    {
        List<ChatTurn> all = new(turns.Count + 1);
        if (system is not null && turns[0].Role != "system")
            all.Add(new ChatTurn("system", system));
        all.AddRange(turns);
        if (budget is int tokens && !string.IsNullOrEmpty(budgetText))
        {
            int last = all.FindLastIndex(turn => turn.Role == "user");
            if (last >= 0)
            {
                string statement = budgetText.Replace("{budget}", tokens.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
                all[last] = all[last] with { Content = $"{all[last].Content} {statement}" };
            }
        }

        return tokenizer.Encode(template.Render(all, addGenerationPrompt: false));
    }
}
