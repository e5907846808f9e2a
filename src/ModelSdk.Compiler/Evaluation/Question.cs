using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>One question with its right answer.</summary>
/// <param name="Turns">The conversation up to the user's last message, as written in the data.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Line">1-based line in the data file.</param>
internal sealed record Question(IReadOnlyList<ChatTurn> Turns, string Expected, int Line)
{
    /// <summary>The last user message.</summary>
    public string Text => Turns[^1].Content;

    /// <summary>The mode that shall answer, in the switcher's data; null elsewhere.</summary>
    public string? Mode { get; init; }

    /// <summary>Reads questions. A last message of the assistant is left out: it is what the model shall say.</summary>
    /// <param name="path">JSONL.</param>
    /// <param name="shownPath">The path to name in errors.</param>
    /// <param name="answer">How answers are read; null reads none: a program grades them.</param>
    /// <param name="most">Take the first so many; null takes all.</param>
    /// <param name="modes">The modes that a line may name, each line must name one; null reads no modes.</param>
    /// <exception cref="TrainingException">A line is malformed, or there is none.</exception>
    /// <exception cref="CompilerException">A line has no answer, or one that cannot be read as the answer type, or no known mode, or does not end with a user's message.</exception>
    public static IReadOnlyList<Question> Read(string path, string shownPath, AnswerSettings? answer, int? most, IReadOnlyCollection<string>? modes = null)
    {
        TypeGrader? reader = answer is null ? null : new TypeGrader(answer);
        List<Question> questions = [];
        foreach (TrainingExample example in DataFile.Read(path, shownPath).Take(most ?? int.MaxValue))
        {
            CompilerException Invalid(string message) => new(DiagnosticCodes.DataLineInvalid, message, shownPath, example.Line, 1);
            IReadOnlyList<ChatTurn> turns = example.Turns[^1].Role == "assistant" ? [.. example.Turns.SkipLast(1)] : example.Turns;
            if (turns.Count == 0 || turns[^1].Role != "user")
            {
                throw Invalid("This question has no message of the user at its end.");
            }

            if (example.Answer is null)
            {
                throw Invalid("This question has no \"answer\", so nothing can be compared. Add one, or remove the line.");
            }

            if (reader is not null && !reader.CanRead(example.Answer))
            {
                throw Invalid($"The answer \"{example.Answer}\" cannot be read as the manifest's answer type, {answer!.Type.ToString().ToLowerInvariant()}.");
            }

            questions.Add(new Question(turns, example.Answer, example.Line) { Mode = modes is null ? null : ModeOf(example, modes, Invalid) });
        }

        return questions;
    }

    private static string ModeOf(TrainingExample example, IReadOnlyCollection<string> modes, Func<string, CompilerException> invalid) =>
        example.Mode is null ? throw invalid("This line has no \"mode\", so it does not say which mode shall answer. Name one of: " + string.Join(", ", modes) + ".")
        : modes.Contains(example.Mode) ? example.Mode
        : throw invalid($"The mode \"{example.Mode}\" is none of this model's. Name one of: {string.Join(", ", modes)}.");
}
