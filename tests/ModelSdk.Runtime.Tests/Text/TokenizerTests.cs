using CsCheck;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Text;

public class TokenizerTests
{
    private static readonly Tokenizer Tokenizer = Tokenizer.Load(GoldenFile.TokenizerPath);

    /// <summary>Texts of any characters, half surrogate pairs among them, with whitespace, marks and added tokens made likely.</summary>
    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Char.Select(c => c.ToString()),
        Gen.Int[0, 0x10FFFF].Where(c => c is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32),
        Gen.OneOf(" ", "  ", "\n", "\r\n", "'s", "e\u0301", "\u0323", "12", "apples", "<|im_end|>", "<think>", "two words", "\u1112\u1161\u11ab")).Array[0, 24].Select(string.Concat);

    /// <summary>
    /// Equal up to normalization: a mark after an added token is not composed with it, as in the reference. Nor does the reference give
    /// back the added token "\u00e9t\u00e9": it reads its letters as the bytes that they stand for elsewhere (golden.json has cases).
    /// </summary>
    [Fact]
    public void Decoding_gives_back_the_text_up_to_normalization() =>
        Texts.Where(text => !WellFormedFormC(text).Contains("\u00e9t\u00e9", StringComparison.Ordinal)).Sample(text => Assert.Equal(WellFormedFormC(text), WellFormedFormC(Tokenizer.Decode(Tokenizer.Encode(text)))), iter: 3000);

    [Fact]
    public void Tokens_streamed_one_by_one_give_the_text_of_all()
    {
        Gen.Int[-1, Tokenizer.Count + 2].Array[0, 40].Sample(ids =>
        {
            var stream = new TokenTextStream(Tokenizer);
            string text = string.Concat(ids.Select(stream.Append)) + stream.Flush();
            Assert.Equal(Tokenizer.Decode(ids), text);
        }, iter: 3000);
    }

    [Fact]
    public void A_stream_holds_back_a_character_until_its_last_byte()
    {
        int[] ids = Tokenizer.Encode("\u7aaf");
        Assert.True(ids.Length > 1, "The character must span tokens for this test.");
        var stream = new TokenTextStream(Tokenizer);

        Assert.All(ids[..^1], id => Assert.Equal("", stream.Append(id)));
        Assert.Equal("\u7aaf", stream.Append(ids[^1]));
        Assert.Equal("", stream.Flush());
    }

    [Fact]
    public void A_stream_that_ends_within_a_character_says_so_and_begins_anew()
    {
        var stream = new TokenTextStream(Tokenizer);

        Assert.Equal("", stream.Append(Tokenizer.Encode("\u7aaf")[0]));
        Assert.Equal("\ufffd", stream.Flush());
        Assert.Equal("a", stream.Append('a'));
    }

    [Fact]
    public void A_stream_can_leave_out_special_tokens()
    {
        var stream = new TokenTextStream(Tokenizer, skipSpecialTokens: true);

        Assert.Equal("a<think>b", string.Concat(Tokenizer.Encode("a<think>b<|im_end|>").Select(stream.Append)));
    }

    /// <summary>Byte-pair encoding word for word: of all neighbours the pair with the lowest rank becomes one, the leftmost first, until none is left.</summary>
    [Fact]
    public void Merging_agrees_with_the_plain_definition()
    {
        TokenizerFile file = TokenizerFile.Read(GoldenFile.TokenizerPath);
        Dictionary<string, int> ranks = file.Merges.Select((merge, rank) => (merge, rank)).ToDictionary(m => m.merge, m => m.rank);
        int[] Plain(ReadOnlySpan<char> piece)
        {
            List<string> tokens = [.. ByteAlphabet.Encode(System.Text.Encoding.UTF8.GetBytes(piece.ToString())).Select(c => c.ToString())];
            while (true)
            {
                var best = Enumerable.Range(0, tokens.Count - 1).Where(i => ranks.ContainsKey($"{tokens[i]} {tokens[i + 1]}"))
                    .OrderBy(i => ranks[$"{tokens[i]} {tokens[i + 1]}"]).Take(1).ToArray();
                if (best.Length == 0)
                    return [.. tokens.Select(t => file.Vocabulary[t])];
                tokens[best[0]] += tokens[best[0] + 1];
                tokens.RemoveAt(best[0] + 1);
            }
        }

        Gen.Char["apleshownmtiv "].Array[1, 60].Select(c => new string(c)).Sample(text =>
        {
            var ids = new List<int>();
            for (int at = 0, length; at < text.Length; at += length)
            {
                length = Qwen2Splitter.Next(text.AsSpan(at));
                ids.AddRange(Plain(text.AsSpan(at, length)));
            }

            Assert.Equal(ids, Tokenizer.Encode(text));
        }, iter: 2000);
    }

    [Fact]
    public void A_long_run_without_a_break_is_encoded_in_time_that_grows_with_its_length()
    {
        string text = string.Concat(Enumerable.Repeat("apples", 50_000));

        int[] ids = Tokenizer.Encode(text);

        Assert.Equal(text, Tokenizer.Decode(ids));
        Assert.True(ids.Length <= text.Length / 2);
    }

    [Fact]
    public void Threads_may_share_a_tokenizer()
    {
        string[] texts = [.. GoldenFile.Load().Cases.Select(c => c.Text)];
        int[][] expected = [.. texts.Select(Tokenizer.Encode)];

        Parallel.For(0, 4 * texts.Length, i => Assert.Equal(expected[i % texts.Length], Tokenizer.Encode(texts[i % texts.Length])));
    }

    [Fact]
    public void Tokens_are_found_by_their_text()
    {
        Assert.Equal(Tokenizer.TokenId("<|im_end|>"), Assert.Single(Tokenizer.Encode("<|im_end|>")));
        Assert.Equal(Tokenizer.TokenId("\u0120apples"), Assert.Single(Tokenizer.Encode(" apples")));
        Assert.Null(Tokenizer.TokenId("<|no_such_token|>"));
        Assert.True(Tokenizer.IsSpecial(Tokenizer.TokenId("<|im_end|>")!.Value));
        Assert.False(Tokenizer.IsSpecial(Tokenizer.TokenId("<think>")!.Value));
        Assert.Equal(Tokenizer.Count - 1, Tokenizer.TokenId("\U0001F680"));
    }

    private static string WellFormedFormC(string text) =>
        NormalizationFormC.Normalize(System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text)));
}
