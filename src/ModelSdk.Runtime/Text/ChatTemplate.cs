using System.Text;

namespace ModelSdk.Runtime.Text;

/// <summary>How a conversation becomes text. Renders exactly what the official template renders for system, user and assistant messages.</summary>
/// <remarks>Templates are Jinja programs; those of Qwen2.5, Qwen2 and plain ChatML are recognised by their text, any other is refused.</remarks>
public sealed class ChatTemplate
{
    private const string StartOfTurn = "<|im_start|>";

    internal ChatTemplate(string? defaultSystem) => DefaultSystem = defaultSystem;

    /// <summary>System text where the conversation does not begin with a system message; null where the template has none.</summary>
    public string? DefaultSystem { get; }

    /// <summary>What stands before an answer: "&lt;|im_start|&gt;assistant\n". Masked adapters are active from here.</summary>
#pragma warning disable CA1822 // An instance member: another template has another text.
    public string GenerationPrompt => StartOfTurn + "assistant\n";

    /// <summary>The token that ends a message: "&lt;|im_end|&gt;".</summary>
    public string EndOfTurn => "<|im_end|>";
#pragma warning restore CA1822

    /// <summary>Reads the template of a tokenizer_config.json, or of the chat_template.jinja beside it, which wins as in Hugging Face transformers.</summary>
    /// <param name="path">The tokenizer_config.json.</param>
    /// <exception cref="ModelFormatException">The file is missing or malformed, or the template is not one that is rendered exactly.</exception>
    public static ChatTemplate Load(string path) => ChatTemplateFile.Read(path);

    /// <summary>Renders a conversation.</summary>
    /// <param name="turns">The messages; at least one. A system message usually comes first.</param>
    /// <param name="addGenerationPrompt">Whether the text ends with <see cref="GenerationPrompt"/>, for the model to answer.</param>
    /// <exception cref="ArgumentException">There is no message, or a role is none of system, user, assistant.</exception>
    public string Render(IReadOnlyList<ChatTurn> turns, bool addGenerationPrompt)
    {
        ArgumentNullException.ThrowIfNull(turns);
        if (turns.Count == 0)
            throw new ArgumentException("A conversation needs at least one message.", nameof(turns));

        var text = new StringBuilder();
        if (DefaultSystem is not null && turns[0].Role != "system")
            Append(text, "system", DefaultSystem);
        foreach (ChatTurn turn in turns)
        {
            if (turn.Role is not ("system" or "user" or "assistant"))
                throw new ArgumentException($"The role \"{turn.Role}\" is not known; use system, user or assistant.", nameof(turns));
            Append(text, turn.Role, turn.Content);
        }

        if (addGenerationPrompt)
            text.Append(GenerationPrompt);
        return text.ToString();
    }

    private void Append(StringBuilder text, string role, string content) =>
        text.Append(StartOfTurn).Append(role).Append('\n').Append(content).Append(EndOfTurn).Append('\n');
}
