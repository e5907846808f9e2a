using System.Globalization;

namespace ModelSdk.Runtime.Tests.Answers;

public class AnswerParserTests
{
    [Theory]
    [InlineData("16", 16)]
    [InlineData("  16.\n", 16)]
    [InlineData("-7", -7)]
    [InlineData("+7", 7)]
    [InlineData("16.0", 16)]
    [InlineData("1,204", 1204)]
    [InlineData("1,204,000", 1204000)]
    [InlineData("The answer is 16.", 16)]
    [InlineData("16 apples", 16)]
    [InlineData("$16", 16)]
    [InlineData("16kg", 16)]
    [InlineData("16%", 16)]
    [InlineData("It is 16, yes 16.", 16)]
    [InlineData("x=-5", -5)]
    [InlineData("2147483647", int.MaxValue)]
    [InlineData("-2147483648", int.MinValue)]
    public void Integers_are_read(string text, int expected) => Assert.Equal(expected, AnswerParser.ParseInteger(text));

    [Theory]
    [InlineData("")]
    [InlineData("sixteen")]
    [InlineData("16 or 17")]
    [InlineData("3 + 4 = 7")]
    [InlineData("5-3")]
    [InlineData("1,2345")]
    [InlineData("12,345,6")]
    [InlineData("version v2")]
    [InlineData("16.5")]
    [InlineData("2147483648")]
    [InlineData("99999999999999999999999999999999999")]
    public void What_is_not_one_integer_is_refused_with_the_text(string text)
    {
        AnswerFormatException error = Assert.Throws<AnswerFormatException>(() => AnswerParser.ParseInteger(text));

        Assert.Equal("MDL6003", error.Code);
        Assert.Equal(text, error.Text);
        Assert.Contains($"\"{text}\"", error.Message, StringComparison.Ordinal);
        Assert.False(AnswerParser.TryParseInteger(text, out _));
    }

    [Theory]
    [InlineData("2.5", 2.5)]
    [InlineData("-0.125", -0.125)]
    [InlineData("3", 3)]
    [InlineData("1,204.5", 1204.5)]
    [InlineData("6.02e23", 6.02e23)]
    [InlineData("about 2.5 metres", 2.5)]
    public void Numbers_are_read(string text, double expected) => Assert.Equal(expected, AnswerParser.ParseNumber(text));

    [Theory]
    [InlineData("NaN")]
    [InlineData("1e999")]
    [InlineData("2.5 to 3.5")]
    [InlineData("")]
    public void What_is_not_one_finite_number_is_refused(string text) => Assert.Throws<AnswerFormatException>(() => AnswerParser.ParseNumber(text));

    [Fact]
    public void Parsing_does_not_depend_on_the_culture_of_the_thread()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo german = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            german.NumberFormat.NumberDecimalSeparator = ",";
            german.NumberFormat.NumberGroupSeparator = ".";
            CultureInfo.CurrentCulture = german;

            Assert.Equal(2.5, AnswerParser.ParseNumber("2.5"));
            Assert.Equal(1204, AnswerParser.ParseInteger("1,204"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData("yes", "yes")]
    [InlineData(" Yes. ", "yes")]
    [InlineData("The answer is no.", "no")]
    [InlineData("not sure", "not sure")]
    [InlineData("I am NOT SURE about it", "not sure")]
    public void Choices_are_found(string text, string expected) => Assert.Equal(expected, AnswerParser.ParseChoice(text, ["yes", "no", "not sure", "sure"]));

    [Theory]
    [InlineData("maybe")]
    [InlineData("yes or no")]
    [InlineData("nothing")]
    [InlineData("")]
    public void What_names_no_single_choice_is_refused(string text) =>
        Assert.Throws<AnswerFormatException>(() => AnswerParser.ParseChoice(text, ["yes", "no", "not sure", "sure"]));

    [Fact]
    public void Text_is_trimmed() => Assert.Equal("Hello there.", AnswerParser.ParseText("\n Hello there. "));
}
