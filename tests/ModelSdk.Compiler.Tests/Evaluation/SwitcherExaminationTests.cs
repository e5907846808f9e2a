using ModelSdk.Compiler.Evaluation;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Compiler.Tests.Evaluation;

public sealed class SwitcherExaminationTests
{
    // Forty questions: the even ones are easy (the base is right, in 5 tokens), the odd ones hard (only reasoning is right, in 50).
    private static readonly Question[] Questions =
        [.. Enumerable.Range(0, 40).Select(i => new Question([new ChatTurn("user", $"q{i}")], "1", i + 1) { Mode = i % 2 == 0 ? "base" : "sums" })];

    private static readonly ScoredAnswer[] Direct = [.. Enumerable.Range(0, 40).Select(i => new ScoredAnswer("1", null, 5, i % 2 == 0, true))];
    private static readonly ScoredAnswer[] Reasoned = [.. Enumerable.Range(0, 40).Select(_ => new ScoredAnswer("1", "x", 50, true, true))];

    [Fact]
    public void A_perfect_switcher_keeps_all_accuracy_at_half_the_tokens()
    {
        SwitcherResult result = Sum(i => i % 2 == 0 ? 0.1 + (i * 0.001) : 0.9 + (i * 0.001));
        Assert.Equal((1, 40, 1), (result.Auc, result.Examples, result.AdapterAccuracy));
        SwitcherPoint at = result.At(0.5);
        Assert.Equal((0.5, 1, 27.5), (at.RoutedShare, at.Accuracy, at.MeanTokens));
        Assert.True(result.Frugal!.MeanTokens <= 0.6 * result.Reasoning.MeanTokens);
        Assert.True(result.Frugal.Accuracy >= 0.975);
        Assert.Equal((1, 1, 50), (result.Curve[0].RoutedShare, result.Curve[0].Accuracy, result.Curve[0].MeanTokens));
        Assert.Equal(result.Curve.OrderBy(p => p.Threshold), result.Curve);
        Assert.True(result.Curve.Zip(result.Curve.Skip(1)).All(p => p.First.RoutedShare >= p.Second.RoutedShare));
    }

    [Fact]
    public void A_switcher_that_knows_nothing_shows()
    {
        SwitcherResult result = Sum(_ => 0.7);
        Assert.Equal(0.5, result.Auc);
        Assert.Equal(1, result.Frugal!.RoutedShare);
        Assert.Equal(3, result.Failures.Count);
        Assert.Contains("should be answered by base", result.Failures[0].Note, StringComparison.Ordinal);
    }

    [Fact]
    public void The_length_of_prompts_is_judged_too()
    {
        Assert.Equal(0.5, Sum(_ => 0.5, _ => 10).LengthAuc);
        Assert.Equal(1, Sum(_ => 0.5, i => i % 2).LengthAuc);
    }

    private static SwitcherResult Sum(Func<int, double> score, Func<int, int>? length = null) => SwitcherExamination.Sum(
        Questions,
        [.. Enumerable.Range(0, 40).Select(i => new Routing(score(i), 0, "sums"))],
        [.. Enumerable.Range(0, 40).Select(length ?? (_ => 10))],
        Direct,
        Reasoned);
}
