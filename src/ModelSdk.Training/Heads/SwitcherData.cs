using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training.Heads;

/// <summary>A prompt and the mode that should answer it.</summary>
/// <param name="Prompt">All tokens before the generation prompt.</param>
/// <param name="Mode">Index into <see cref="SwitcherData.Modes"/>.</param>
public sealed record SwitcherExample(int[] Prompt, int Mode);

/// <summary>The switcher's training file as tokens.</summary>
/// <param name="Modes">"base", then the adapters in the order of the manifest.</param>
/// <param name="Examples">At least one.</param>
public sealed record SwitcherData(IReadOnlyList<string> Modes, IReadOnlyList<SwitcherExample> Examples)
{
    /// <summary>The mode that answers directly.</summary>
    public const string Base = "base";

    /// <summary>Renders and encodes prompts as the runtime does; an assistant's turn at the end is left out.</summary>
    /// <param name="path">The data file, for errors.</param>
    /// <param name="examples">From <see cref="TrainingData.Read"/>.</param>
    /// <param name="adapters">Names of the adapters, in the order of the manifest.</param>
    /// <param name="tokenizer">The base's tokenizer.</param>
    /// <param name="template">The base's chat template.</param>
    /// <param name="system">System text for conversations that have none; null: the template's default.</param>
    /// <param name="context">Most tokens of a prompt.</param>
    /// <exception cref="TrainingException">MDL3011 a line names no mode or an unknown one, or has no user's turn; MDL3013 a prompt is too long. Both name the line.</exception>
    public static SwitcherData Encode(string path, IReadOnlyList<TrainingExample> examples, IReadOnlyList<string> adapters, Tokenizer tokenizer, ChatTemplate template, string? system, int context)
    {
        string[] modes = [Base, .. adapters];
        return new SwitcherData(modes, [.. examples.Select(example =>
        {
            var mode = Array.IndexOf(modes, example.Mode);
            var turns = example.Turns.Take(example.Turns[^1].Role == "assistant" ? example.Turns.Count - 1 : example.Turns.Count).ToList();
            if (mode < 0 || turns.Count == 0 || turns[^1].Role != "user")
            {
                throw new TrainingException(
                    DiagnosticCodes.DataLineInvalid,
                    mode < 0
                        ? $"Line {example.Line} of '{path}' {(example.Mode is null ? "names no mode" : $"names the mode '{example.Mode}', which does not exist")}: \"mode\" must be one of {string.Join(", ", modes.Select(m => $"\"{m}\""))}."
                        : $"Line {example.Line} of '{path}' has no question: its messages must end with a user's message, or with a user's and an assistant's.",
                    path, example.Line);
            }

            if (system is not null && turns[0].Role != "system")
            {
                turns.Insert(0, new ChatTurn("system", system));
            }

            var prompt = tokenizer.Encode(template.Render(turns, addGenerationPrompt: false));
            return prompt.Length <= context ? new SwitcherExample(prompt, mode) : throw new TrainingException(
                DiagnosticCodes.ExampleTooLong,
                $"Line {example.Line} of '{path}' has {prompt.Length} tokens, but the context is {context}. Shorten it, leave it out, or raise \"context\" in the manifest.",
                path, example.Line);
        })]);
    }
}
