using ModelSdk.Manifest;
using ModelSdk.Runtime;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>Says whether an answer is right: read as the manifest's answer type, exactly as the generated client reads it.</summary>
internal static class AnswerScorer
{
    private const double NumberTolerance = 1e-6;

    /// <summary>True when the model's answer means the expected one. What cannot be read is wrong.</summary>
    public static bool IsRight(AnswerType type, IReadOnlyList<string> choices, string expected, string answer) => type switch
    {
        AnswerType.Integer => AnswerParser.TryParseInteger(expected, out int want) && AnswerParser.TryParseInteger(answer, out int got) && want == got,
        AnswerType.Number => AnswerParser.TryParseNumber(expected, out double want) && AnswerParser.TryParseNumber(answer, out double got)
            && Math.Abs(want - got) <= NumberTolerance * Math.Max(1, Math.Abs(want)),
        AnswerType.Choice => AnswerParser.TryParseChoice(expected, choices, out string? want) && AnswerParser.TryParseChoice(answer, choices, out string? got)
            && string.Equals(want, got, StringComparison.Ordinal),
        _ => string.Equals(AnswerParser.ParseText(expected), AnswerParser.ParseText(answer), StringComparison.Ordinal),
    };

    /// <summary>True when the expected answer of a data line can be read as the manifest's answer type.</summary>
    public static bool CanRead(AnswerType type, IReadOnlyList<string> choices, string expected) => type switch
    {
        AnswerType.Integer => AnswerParser.TryParseInteger(expected, out _),
        AnswerType.Number => AnswerParser.TryParseNumber(expected, out _),
        AnswerType.Choice => AnswerParser.TryParseChoice(expected, choices, out _),
        _ => true,
    };
}
