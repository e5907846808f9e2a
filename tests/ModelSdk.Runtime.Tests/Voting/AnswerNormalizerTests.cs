using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Voting;

namespace ModelSdk.Runtime.Tests.Voting;

public class AnswerNormalizerTests
{
    [Theory]
    [InlineData("integer", "16", "16")]
    [InlineData("integer", " The answer is 16.0 kg.", "16")]
    [InlineData("integer", "1,204", "1204")]
    [InlineData("integer", "16 or 18", null)]
    [InlineData("integer", "", null)]
    [InlineData("number", "1.50", "1.5")]
    [InlineData("number", "-0", "0")]
    [InlineData("number", "1e3", "1000")]
    [InlineData("number", "none", null)]
    [InlineData("choice", "YES.", "yes")]
    [InlineData("choice", "it is no", "no")]
    [InlineData("choice", "maybe", null)]
    [InlineData("text", "  Paris,\n France ", "Paris, France")]
    [InlineData("text", " \n", null)]
    public void An_answer_has_one_form(string type, string text, string? expected) =>
        Assert.Equal(expected, AnswerNormalizer.Normalize(new BundleAnswer(type, type == "choice" ? ["yes", "no"] : null), text));
}
