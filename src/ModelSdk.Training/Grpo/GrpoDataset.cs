using System.Text.RegularExpressions;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training;

/// <summary>A question with its right answer.</summary>
/// <param name="Turns">The conversation up to the user's last message; no budget in it.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Line">1-based line of the data file.</param>
public sealed record GrpoQuestion(IReadOnlyList<ChatTurn> Turns, string Expected, int Line)
{
    /// <summary>The user's last message.</summary>
    public string Text => Turns[^1].Content;
}

/// <summary>What a completion says.</summary>
/// <param name="Output">The whole text.</param>
/// <param name="Answer">The answer behind the reasoning.</param>
/// <param name="ThinkTokens">Tokens up to the end of the reasoning; all of them where it does not end.</param>
public sealed record GrpoOutput(string Output, string Answer, int ThinkTokens);

/// <summary>Questions, and how they become prompts and completions become answers.</summary>
/// <param name="Questions">At least one.</param>
/// <param name="GenerationPrompt">Tokens that open the assistant's turn; the adapter is on from here.</param>
/// <param name="Render">Question and budget (null: none) to the tokens before the generation prompt.</param>
/// <param name="Read">A completion without its end token to what it says.</param>
public sealed record GrpoDataset(
    IReadOnlyList<GrpoQuestion> Questions,
    IReadOnlyList<int> GenerationPrompt,
    Func<GrpoQuestion, int?, int[]> Render,
    Func<IReadOnlyList<int>, GrpoOutput> Read)
{
    /// <summary>Takes the questions of a data file; prompts and answers are made exactly as the runtime makes them.</summary>
    /// <remarks>
    /// An assistant's turn at the end is left out. A budget that the question states already, in the words of the manifest's budget text,
    /// is left out, too: the recipe states its own.
    /// </remarks>
    /// <param name="path">The data file, for errors.</param>
    /// <param name="examples">From <see cref="TrainingData.Read"/>.</param>
    /// <param name="tokenizer">The base's tokenizer.</param>
    /// <param name="template">The base's chat template.</param>
    /// <param name="prompt">System text, budget text and tags of the reasoning.</param>
    /// <param name="settings">Budgets and the longest completion.</param>
    /// <param name="context">Most tokens of prompt, generation prompt and completion together.</param>
    /// <exception cref="TrainingException">MDL3011 a question without an answer or without a user's message at its end; MDL3012 no question; MDL3013 prompt and longest completion do not fit the context. All name the line.</exception>
    public static GrpoDataset Encode(string path, IReadOnlyList<TrainingExample> examples, Tokenizer tokenizer, ChatTemplate template, PromptSettings prompt, BudgetForcingSettings settings, int context)
    {
        int[] generationPrompt = tokenizer.Encode(template.GenerationPrompt);
        int[] Render(GrpoQuestion question, int? budget) => Prompt.Render(question.Turns, prompt.System, prompt.Budget, budget, template, tokenizer);
        int? longest = settings.Budgets.Count > 0 && settings.StatedShare > 0 ? settings.Budgets.Max() : null;
        var questions = new List<GrpoQuestion>(examples.Count);
        foreach (var example in examples)
        {
            TrainingException Invalid(string why) => new(DiagnosticCodes.DataLineInvalid, $"Line {example.Line} of '{path}' cannot be used for budget forcing: {why}", path, example.Line);
            List<ChatTurn> turns = example.Turns[^1].Role == "assistant" ? [.. example.Turns.SkipLast(1)] : [.. example.Turns];
            if (turns.Count == 0 || turns[^1].Role != "user")
            {
                throw Invalid("the question has no message of the user at its end.");
            }

            if (example.Answer is null)
            {
                throw Invalid("it has no \"answer\", so nothing can be rewarded. Add one, remove the line, or name another file as \"data\" of the adapter's \"budget\".");
            }

            turns[^1] = turns[^1] with { Content = WithoutBudget(turns[^1].Content, prompt.Budget) };
            var question = new GrpoQuestion(turns, example.Answer, example.Line);
            var tokens = Render(question, longest).Length;
            if (tokens + generationPrompt.Length + settings.MaxTokens > context)
            {
                throw new TrainingException(
                    DiagnosticCodes.ExampleTooLong,
                    $"Line {example.Line} of '{path}' has a prompt of {tokens + generationPrompt.Length} tokens, which with {settings.MaxTokens} tokens of completion (\"maxTokens\") is more than the context of {context}. Shorten or remove it, lower \"maxTokens\", or raise \"context\" in the manifest.",
                    path, example.Line);
            }

            questions.Add(question);
        }

        return questions.Count > 0
            ? new GrpoDataset(questions, generationPrompt, Render, tokens => ReadOutput(tokens, tokenizer, prompt))
            : throw new TrainingException(DiagnosticCodes.DataEmpty, $"The data file '{path}' holds no question.", path);
    }

    /// <summary>A message without a budget stated at its end.</summary>
    public static string WithoutBudget(string message, string statement)
    {
        if (statement.Length == 0 || !statement.Contains(PromptSettings.BudgetPlaceholder, StringComparison.Ordinal))
        {
            return message;
        }

        var pattern = @"\s+" + Regex.Escape(statement).Replace(Regex.Escape(PromptSettings.BudgetPlaceholder), "[0-9]+", StringComparison.Ordinal) + @"\s*\z";
        return Regex.Replace(message, pattern, "", RegexOptions.CultureInvariant);
    }

    private static GrpoOutput ReadOutput(IReadOnlyList<int> tokens, Tokenizer tokenizer, PromptSettings prompt)
    {
        int[] all = [.. tokens];
        var text = tokenizer.Decode(all);
        var split = new OutputSplitter(prompt.ThinkOpen, prompt.ThinkClose, [], null);
        split.Append(text);
        var closed = split.Part == OutputPart.Answer && split.Reasoning is not null;
        split.Complete();
        var think = all.Length;
        if (closed)
        {
            // The fewest tokens whose text holds the closing tag.
            int low = 0;
            while (low < think)
            {
                var middle = (low + think) / 2;
                (low, think) = tokenizer.Decode(all.AsSpan(0, middle)).Contains(prompt.ThinkClose, StringComparison.Ordinal) ? (low, middle) : (middle + 1, think);
            }
        }

        return new GrpoOutput(text, split.Reasoning is not null && !closed ? "" : split.Answer, think);
    }
}
