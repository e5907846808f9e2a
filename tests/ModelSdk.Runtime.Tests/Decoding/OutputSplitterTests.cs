using CsCheck;

using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Runtime.Tests.Decoding;

public class OutputSplitterTests
{
    [Theory]
    [InlineData("<think>\nstep one\nstep two\n</think>\n\n16", "step one\nstep two", "16")]
    [InlineData("  <think>a</think>b", "a", "b")]
    [InlineData("<think></think>b", "", "b")]
    [InlineData("<think>only thoughts ", "only thoughts", "")]
    [InlineData("<think>a < b </thin no tag", "a < b </thin no tag", "")]
    [InlineData("<think>a </th", "a </th", "")]
    [InlineData("plain answer", null, "plain answer")]
    [InlineData(" indented", null, " indented")]
    [InlineData("answer <think>late</think>", null, "answer <think>late</think>")]
    [InlineData("<th", null, "<th")]
    [InlineData("", null, "")]
    [InlineData("<think>a</think> b </think> c\n", "a", "b </think> c\n")]
    public void Texts_are_split_however_they_are_cut_into_pieces(string text, string? reasoning, string answer) =>
        Gen.Int[1, 6].Array[1, 40].Sample(
            sizes =>
            {
                List<(UpdateKind Kind, string Text)> updates = [];
                OutputSplitter splitter = Feed(text, sizes, [], updates);
                Assert.Equal(reasoning, splitter.Reasoning);
                Assert.Equal(answer, splitter.Answer);
                Assert.Equal(reasoning ?? "", string.Concat(updates.Where(u => u.Kind == UpdateKind.Reasoning).Select(u => u.Text)));
                Assert.Equal(answer, string.Concat(updates.Where(u => u.Kind == UpdateKind.Answer).Select(u => u.Text)));
            },
            iter: 200);

    [Theory]
    [InlineData("one END two", "END", "one ", true)]
    [InlineData("one EN two", "END", "one EN two", false)]
    [InlineData("one E", "END", "one E", false)]
    [InlineData("EENDx", "END", "E", true)]
    [InlineData("<think>END</think>one\n\nQ: two", "\n\nQ:", "one", true)]
    [InlineData("aab", "ab", "a", true)]
    public void Stop_texts_are_found_however_they_are_cut_into_pieces(string text, string stop, string answer, bool stopped) =>
        Gen.Int[1, 6].Array[1, 40].Sample(
            sizes =>
            {
                List<(UpdateKind Kind, string Text)> updates = [];
                OutputSplitter splitter = Feed(text, sizes, ["never", stop], updates);
                Assert.Equal(answer, splitter.Answer);
                Assert.Equal(answer, string.Concat(updates.Where(u => u.Kind == UpdateKind.Answer).Select(u => u.Text)));
                Assert.Equal(stopped, splitter.Stopped);
            },
            iter: 200);

    [Fact]
    public void Text_is_handed_out_as_soon_as_it_is_decided()
    {
        List<string> updates = [];
        OutputSplitter splitter = new("<think>", "</think>", ["\n\n"], (_, text) => updates.Add(text));

        splitter.Append("<think>");
        splitter.Append("a");
        splitter.Append(" ");
        splitter.Append("b</");
        splitter.Append("think>");
        splitter.Append("c\n");
        splitter.Append("d");

        Assert.Equal(["a", " b", "c", "\nd"], updates);
    }

    private static OutputSplitter Feed(string text, int[] sizes, string[] stops, List<(UpdateKind, string)> updates)
    {
        OutputSplitter splitter = new("<think>", "</think>", stops, (kind, piece) => updates.Add((kind, piece)));
        int at = 0;
        for (int i = 0; at < text.Length; i++)
        {
            int size = Math.Min(sizes[i % sizes.Length], text.Length - at);
            splitter.Append(text.Substring(at, size));
            at += size;
        }

        splitter.Complete();
        return splitter;
    }
}
