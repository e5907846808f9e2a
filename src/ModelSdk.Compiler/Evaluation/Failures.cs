namespace ModelSdk.Compiler.Evaluation;

/// <summary>Picks the examples that messages about gates show.</summary>
internal static class Failures
{
    private const int Most = 3;

    /// <summary>Wrong answers, the first in the data.</summary>
    public static IReadOnlyList<FailedExample> Wrong(IReadOnlyList<Question> questions, IReadOnlyList<ScoredAnswer> answers) =>
        [.. questions.Zip(answers).Where(p => !p.Second.Right).Take(Most).Select(p => Of(p.First, p.Second))];

    /// <summary>The longest answers.</summary>
    public static IReadOnlyList<FailedExample> Longest(IReadOnlyList<Question> questions, IReadOnlyList<ScoredAnswer> answers) =>
        [.. questions.Zip(answers).OrderByDescending(p => p.Second.Tokens).ThenBy(p => p.First.Line).Take(Most).Select(p => Of(p.First, p.Second))];

    /// <summary>Answers whose length fell least.</summary>
    public static IReadOnlyList<FailedExample> LeastShortened(IReadOnlyList<Question> questions, IReadOnlyList<ScoredAnswer> before, IReadOnlyList<ScoredAnswer> after) =>
        [.. questions.Zip(before, after)
            .OrderBy(t => (double)t.Second.Tokens / Math.Max(1, t.Third.Tokens))
            .ThenBy(t => t.First.Line)
            .Take(Most)
            .Select(t => Of(t.First, t.Third, $"{t.Second.Tokens} tokens after SFT"))];

    /// <summary>Answers longer than the budget, the first in the data.</summary>
    public static IReadOnlyList<FailedExample> OverBudget(IReadOnlyList<Question> questions, IReadOnlyList<ScoredAnswer> answers, int budget) =>
        [.. questions.Zip(answers).Where(p => p.Second.Tokens > budget).Take(Most).Select(p => Of(p.First, p.Second))];

    /// <summary>One example.</summary>
    public static FailedExample Of(Question question, ScoredAnswer answer, string? note = null) => new(question.Text, question.Expected, answer.Text, answer.Tokens, note);
}
