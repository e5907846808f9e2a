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
        List<ChatTurn> turns = new(request.Turns.Count + 1);
        if (bundle.Prompt.System is string system && request.Turns[0].Role != "system")
            turns.Add(new ChatTurn("system", system));
        turns.AddRange(request.Turns);
        if (request.Budget is int budget && !string.IsNullOrEmpty(bundle.Prompt.Budget))
        {
            int last = turns.FindLastIndex(turn => turn.Role == "user");
            if (last >= 0)
            {
                string statement = bundle.Prompt.Budget.Replace("{budget}", budget.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
                turns[last] = turns[last] with { Content = $"{turns[last].Content} {statement}" };
            }
        }

        // The generation prompt begins with a special token, which always splits the text: the parts may be tokenized one by one.
        int[] conversation = tokenizer.Encode(template.Render(turns, addGenerationPrompt: false));
        int[] generation = tokenizer.Encode(template.GenerationPrompt);
        return new Prompt([.. conversation, .. generation], conversation.Length);
    }
}
