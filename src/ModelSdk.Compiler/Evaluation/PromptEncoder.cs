using ModelSdk.Manifest;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>Turns conversations into tokens as the runtime does: the template's text, the manifest's system text where the conversation has none, a budget in its words.</summary>
/// <param name="folder">Folder with tokenizer.json and tokenizer_config.json.</param>
/// <param name="texts">The manifest's texts.</param>
internal sealed class PromptEncoder(string folder, PromptSettings texts)
{
    public Tokenizer Tokenizer { get; } = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));

    public ChatTemplate Template { get; } = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));

    /// <summary>Tokens that open the assistant's turn: from here on adapters are active.</summary>
    public int[] GenerationPrompt() => Tokenizer.Encode(Template.GenerationPrompt);

    /// <summary>Tokens of the conversation before the generation prompt.</summary>
    /// <param name="turns">The conversation.</param>
    /// <param name="budget">Tokens to state at the end of the last message; null states nothing.</param>
    public int[] Prompt(IReadOnlyList<ChatTurn> turns, int? budget = null) =>
        Runtime.Decoding.Prompt.Render(turns, texts.System, texts.Budget, budget, Template, Tokenizer);

    /// <summary>All that a sequence says, its end of turn aside.</summary>
    public string Output(BatchSequence sequence) => Tokenizer.Decode(sequence.Ended ? sequence.Tokens[..^1] : sequence.Tokens);
}
