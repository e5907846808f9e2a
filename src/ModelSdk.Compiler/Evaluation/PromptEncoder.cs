using ModelSdk.Runtime.Text;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>Turns conversations into tokens as the runtime does: the template's text, the manifest's system text where the conversation has none.</summary>
/// <param name="folder">Folder with tokenizer.json and tokenizer_config.json.</param>
/// <param name="system">The manifest's system text; null leaves it to the template.</param>
internal sealed class PromptEncoder(string folder, string? system)
{
    public Tokenizer Tokenizer { get; } = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));

    public ChatTemplate Template { get; } = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));

    /// <summary>Tokens that open the assistant's turn: from here on adapters are active.</summary>
    public int[] GenerationPrompt() => Tokenizer.Encode(Template.GenerationPrompt);

    /// <summary>Tokens of the conversation before the generation prompt.</summary>
    public int[] Prompt(IReadOnlyList<ChatTurn> turns)
    {
        IReadOnlyList<ChatTurn> all = system is not null && turns[0].Role != "system" ? [new ChatTurn("system", system), .. turns] : turns;
        return Tokenizer.Encode(Template.Render(all, addGenerationPrompt: false));
    }
}
