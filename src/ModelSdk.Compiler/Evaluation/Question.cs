using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>One question of the evaluation data.</summary>
/// <param name="Turns">The conversation up to the user's last message, as written in the data.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Line">1-based line in the data file.</param>
internal sealed record Question(IReadOnlyList<ChatTurn> Turns, string Expected, int Line)
{
    /// <summary>The last user message.</summary>
    public string Text => Turns[^1].Content;

    /// <summary>Reads evaluation data. A last message of the assistant is left out: it is what the model shall say.</summary>
    /// <param name="path">JSONL.</param>
    /// <param name="shownPath">The path to name in errors.</param>
    /// <param name="answer">How answers are read.</param>
    /// <param name="most">Take the first so many; null takes all.</param>
    /// <exception cref="CompilerException">A line has no answer, or one that cannot be read as the answer type, or does not end with a user's message.</exception>
    public static IReadOnlyList<Question> Read(string path, string shownPath, AnswerSettings answer, int? most)
    {
        IReadOnlyList<string> choices = [.. answer.Choices.Select(c => c.Text)];
        List<Question> questions = [];
        foreach (TrainingExample example in TrainingData.Read(path).Take(most ?? int.MaxValue))
        {
            IReadOnlyList<ChatTurn> turns = example.Turns[^1].Role == "assistant" ? [.. example.Turns.SkipLast(1)] : example.Turns;
            if (turns.Count == 0 || turns[^1].Role != "user")
            {
                throw new CompilerException(DiagnosticCodes.DataLineInvalid, "This evaluation question has no message of the user at its end.", shownPath, example.Line, 1);
            }

            if (example.Answer is null)
            {
                throw new CompilerException(DiagnosticCodes.DataLineInvalid, "This evaluation question has no \"answer\", so nothing can be compared. Add one, or remove the line.", shownPath, example.Line, 1);
            }

            if (!AnswerScorer.CanRead(answer.Type, choices, example.Answer))
            {
                throw new CompilerException(DiagnosticCodes.DataLineInvalid, $"The answer \"{example.Answer}\" cannot be read as the manifest's answer type, {answer.Type.ToString().ToLowerInvariant()}.", shownPath, example.Line, 1);
            }

            questions.Add(new Question(turns, example.Answer, example.Line));
        }

        return questions;
    }
}
