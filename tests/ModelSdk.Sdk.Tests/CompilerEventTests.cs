using ModelSdk.Tasks;

namespace ModelSdk.Sdk.Tests;

public class CompilerEventTests
{
    [Fact]
    public void Strings_numbers_and_truth_values_are_read_and_nested_values_are_passed_over()
    {
        CompilerEvent read = CompilerEvent.Parse("""{"kind":"stage", "cached":true,"seconds":0.25,"nested":{"a":[1,{"kind":"}]"}]},"line":12,"none":null,"text":"a\"b\\c\n\u00fc\/"}""")!;

        Assert.Equal("stage", read.Kind);
        Assert.Equal("true", read["cached"]);
        Assert.Equal(0.25, read.Number("seconds"));
        Assert.Equal(12, read.Integer("line"));
        Assert.Equal("a\"b\\c\nü/", read["text"]);
        Assert.Null(read["none"]);
        Assert.Null(read["nested"]);
        Assert.Null(read.Integer("text"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("plain text")]
    [InlineData("{")]
    [InlineData("""{"kind":"stage" """)]
    [InlineData("""{"kind":"stage"} more""")]
    [InlineData("""{"kind":"\u12"}""")]
    [InlineData("""{"kind":{"a":1}""")]
    [InlineData("""["kind"]""")]
    public void A_line_that_is_no_object_is_none(string line) => Assert.Null(CompilerEvent.Parse(line));

    [Fact]
    public void An_empty_object_has_no_kind() => Assert.Null(CompilerEvent.Parse("{}")!.Kind);
}
