using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation.Graders;

/// <summary>Compares answers with the expected ones, both read as the manifest's answer type, exactly as the generated client reads them.</summary>
/// <param name="answer">Type, choices and tolerance.</param>
internal sealed class TypeGrader(AnswerSettings answer) : IGrader
{
    private readonly string[] _choices = [.. answer.Choices.Select(c => c.Text)];

    /// <inheritdoc/>
    public IReadOnlyList<double> Grade(IReadOnlyList<GradedAnswer> answers, CancellationToken cancellationToken) =>
        [.. answers.Select(a => IsRight(a.Expected, a.Answer) ? 1.0 : 0.0)];

    /// <summary>True when the model's answer means the expected one. What cannot be read is wrong.</summary>
    public bool IsRight(string expected, string given) => answer.Type switch
    {
        AnswerType.Integer => AnswerParser.TryParseInteger(expected, out int want) && AnswerParser.TryParseInteger(given, out int got) && want == got,
        AnswerType.Number => AnswerParser.TryParseNumber(expected, out double want) && AnswerParser.TryParseNumber(given, out double got)
            && Math.Abs(want - got) <= answer.Tolerance * Math.Abs(want),
        AnswerType.Choice => AnswerParser.TryParseChoice(expected, _choices, out string? want) && AnswerParser.TryParseChoice(given, _choices, out string? got)
            && string.Equals(want, got, StringComparison.Ordinal),
        _ => string.Equals(Normalise(expected), Normalise(given), StringComparison.OrdinalIgnoreCase),
    };

    /// <summary>True when the expected answer of a data line can be read as the manifest's answer type.</summary>
    public bool CanRead(string expected) => answer.Type switch
    {
        AnswerType.Integer => AnswerParser.TryParseInteger(expected, out _),
        AnswerType.Number => AnswerParser.TryParseNumber(expected, out _),
        AnswerType.Choice => AnswerParser.TryParseChoice(expected, _choices, out _),
        _ => true,
    };

    /// <summary>Trimmed, each run of white space one space.</summary>
    private static string Normalise(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
