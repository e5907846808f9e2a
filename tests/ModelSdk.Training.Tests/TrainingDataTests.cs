using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training.Tests;

public sealed class TrainingDataTests
{
    [Fact]
    public void Lines_become_turns_and_answers()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("data.jsonl", """
            {"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}],"answer":16,"depth":3}

            {"messages":[{"role":"user","content":"Ünï"}],"answer":"yes"}
            """);

        var examples = TrainingData.Read(path);

        Assert.Equal([new ChatTurn("system", "S"), new ChatTurn("user", "Q"), new ChatTurn("assistant", "A")], examples[0].Turns);
        Assert.Equal(("16", 1), (examples[0].Answer, examples[0].Line));
        Assert.Equal(("yes", 3), (examples[1].Answer, examples[1].Line));
    }

    [Theory]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"}]", "malformed")]
    [InlineData("[1]", "\"messages\"")]
    [InlineData("{\"messages\":[]}", "\"messages\"")]
    [InlineData("{\"messages\":[{\"role\":\"user\"}]}", "message 1")]
    [InlineData("{\"messages\":[{\"role\":\"tool\",\"content\":\"Q\"}]}", "\"tool\"")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}", "malformed")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"}],\"answer\":[1]}", "answer")]
    public void A_malformed_line_is_named(string line, string expected)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("data.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"}]}\n" + line + "\n");

        var error = Assert.Throws<TrainingException>(() => TrainingData.Read(path));

        Assert.Equal((DiagnosticCodes.DataLineInvalid, 2, path), (error.Code, error.Line, error.Path));
        Assert.Contains("Line 2", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_and_an_empty_file_are_told_apart()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(DiagnosticCodes.DataFileMissing, Assert.Throws<TrainingException>(() => TrainingData.Read(folder["none.jsonl"])).Code);
        Assert.Equal(DiagnosticCodes.DataEmpty, Assert.Throws<TrainingException>(() => TrainingData.Read(folder.Write("empty.jsonl", "\n \n"))).Code);
    }
}
