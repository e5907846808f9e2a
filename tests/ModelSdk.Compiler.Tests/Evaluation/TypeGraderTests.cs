using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Tests.Evaluation;

public sealed class TypeGraderTests
{
    [Theory]
    [InlineData(AnswerType.Integer, "16", "The answer is 16.", true)]
    [InlineData(AnswerType.Integer, "16", "16.0", true)]
    [InlineData(AnswerType.Integer, "16", "17", false)]
    [InlineData(AnswerType.Integer, "16", "16 or 17", false)]
    [InlineData(AnswerType.Integer, "16", "", false)]
    [InlineData(AnswerType.Text, "New  York", " new york\n", true)]
    [InlineData(AnswerType.Text, "New York", "NewYork", false)]
    [InlineData(AnswerType.Choice, "red", "It is Red.", true)]
    [InlineData(AnswerType.Choice, "red", "red or blue", false)]
    [InlineData(AnswerType.Choice, "red", "green", false)]
    public void An_answer_is_read_as_its_type(AnswerType type, string expected, string given, bool right) =>
        Assert.Equal(right, new TypeGrader(Answer(type)).IsRight(expected, given));

    [Theory]
    [InlineData(0.01, "100", "100.9", true)]
    [InlineData(0.01, "100", "101.1", false)]
    [InlineData(0.01, "-100", "-99.1", true)]
    [InlineData(0.01, "0.001", "0.00100999", true)]
    [InlineData(0.01, "0.001", "0.0011", false)]
    [InlineData(0.01, "0", "0.001", false)]
    [InlineData(0.0, "0.5", "0.50", true)]
    public void A_number_may_differ_by_a_share_of_the_expected_one(double tolerance, string expected, string given, bool right) =>
        Assert.Equal(right, new TypeGrader(Answer(AnswerType.Number) with { Tolerance = tolerance }).IsRight(expected, given));

    [Fact]
    public void Scores_come_in_the_order_of_the_answers()
    {
        GradedAnswer[] answers = [.. ((string[])["1", "2", "3"]).Select((given, i) => new GradedAnswer($"{i}", "?", "2", given, given))];
        Assert.Equal([0, 1, 0], new TypeGrader(Answer(AnswerType.Integer)).Grade(answers, TestContext.Current.CancellationToken));
    }

    private static AnswerSettings Answer(AnswerType type) => new()
    {
        Type = type,
        Choices = new EquatableArray<ChoiceSettings>(type == AnswerType.Choice ? [new ChoiceSettings { Text = "red" }, new ChoiceSettings { Text = "blue" }, new ChoiceSettings { Text = "green" }] : []),
    };
}
