using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training;

/// <summary>Tokens of one example.</summary>
/// <param name="Prompt">All tokens before the generation prompt: the base encodes them.</param>
/// <param name="Response">Tokens after the generation prompt, end of turn included: what is trained on.</param>
public sealed record SftExample(int[] Prompt, int[] Response);

/// <summary>A data file as tokens.</summary>
/// <param name="GenerationPrompt">Tokens that open the assistant's turn; the adapter is on from here.</param>
/// <param name="Examples">At least one.</param>
public sealed record SftDataset(IReadOnlyList<int> GenerationPrompt, IReadOnlyList<SftExample> Examples)
{
    /// <summary>Renders and encodes conversations exactly as the runtime does; the last turn of each is what is learnt.</summary>
    /// <param name="path">The data file, for errors.</param>
    /// <param name="examples">From <see cref="TrainingData.Read"/>.</param>
    /// <param name="tokenizer">The base's tokenizer.</param>
    /// <param name="template">The base's chat template.</param>
    /// <param name="system">System text for conversations that have none; null: the template's default.</param>
    /// <param name="context">Most tokens of prompt, generation prompt and response together.</param>
    /// <exception cref="TrainingException">MDL3011 a conversation does not end with an assistant's turn after a user's; MDL3013 an example is too long. Both name the line.</exception>
    public static SftDataset Encode(string path, IReadOnlyList<TrainingExample> examples, Tokenizer tokenizer, ChatTemplate template, string? system, int context)
    {
        var generationPrompt = tokenizer.Encode(template.GenerationPrompt);
        var encoded = new List<SftExample>(examples.Count);
        foreach (var example in examples)
        {
            if (example.Turns.Count < 2 || example.Turns[^1].Role != "assistant" || example.Turns[^2].Role != "user")
            {
                throw new TrainingException(
                    DiagnosticCodes.DataLineInvalid,
                    $"Line {example.Line} of '{path}' cannot be trained on: its messages must end with a user's and then an assistant's message, which is what is learnt.",
                    path, example.Line);
            }

            var before = example.Turns.Take(example.Turns.Count - 1).ToList();
            if (system is not null && before[0].Role != "system")
            {
                before.Insert(0, new ChatTurn("system", system));
            }

            var prompt = tokenizer.Encode(template.Render(before, addGenerationPrompt: false));
            var response = tokenizer.Encode(example.Turns[^1].Content + template.EndOfTurn);
            var total = prompt.Length + generationPrompt.Length + response.Length;
            if (total > context)
            {
                throw new TrainingException(
                    DiagnosticCodes.ExampleTooLong,
                    $"Line {example.Line} of '{path}' has {total} tokens (prompt {prompt.Length}, response {response.Length}), but the context is {context}. Shorten it, leave it out, or raise \"context\" in the manifest.",
                    path, example.Line);
            }

            encoded.Add(new SftExample(prompt, response));
        }

        return encoded.Count > 0 ? new SftDataset(generationPrompt, encoded) : throw new TrainingException(
            DiagnosticCodes.DataEmpty, $"The data file '{path}' holds no example.", path);
    }
}
