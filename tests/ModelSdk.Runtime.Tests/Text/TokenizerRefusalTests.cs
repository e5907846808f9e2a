using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Text;

public class TokenizerRefusalTests
{
    private static readonly string Original = File.ReadAllText(GoldenFile.TokenizerPath);

    public static TheoryData<string, string, string, string> Refused { get; } = new()
    {
        // path in the file, its value, code, text that the message must hold
        { "normalizer", """{"type": "NFKC"}""", "MDL2020", "NFKC" },
        { "normalizer", """{"type": "Sequence", "normalizers": []}""", "MDL2020", "Sequence" },
        { "normalizer", "5", "MDL2002", "\"normalizer\" must be an object" },
        { "pre_tokenizer", "null", "MDL2020", "pre_tokenizer" },
        { "pre_tokenizer", """{"type": "ByteLevel", "use_regex": true}""", "MDL2020", "ByteLevel" },
        { "pre_tokenizer", """{"type": "Whitespace"}""", "MDL2020", "Whitespace" },
        { "pre_tokenizer.pretokenizers", """[{"type": "Digits"}, {"type": "ByteLevel"}]""", "MDL2020", "Digits, ByteLevel" },
        { "pre_tokenizer.pretokenizers.0.pattern", """{"Regex": "\\w+"}""", "MDL2020", @"\\w" },
        { "pre_tokenizer.pretokenizers.0.behavior", "\"Removed\"", "MDL2020", "Isolated" },
        { "pre_tokenizer.pretokenizers.1.add_prefix_space", "true", "MDL2020", "add_prefix_space" },
        { "decoder", """{"type": "WordPiece"}""", "MDL2020", "WordPiece" },
        { "decoder", "null", "MDL2020", "decoder" },
        { "post_processor", """{"type": "TemplateProcessing"}""", "MDL2020", "TemplateProcessing" },
        { "truncation", """{"max_length": 5}""", "MDL2020", "truncation" },
        { "model.type", "\"Unigram\"", "MDL2020", "Unigram" },
        { "model.dropout", "0.1", "MDL2020", "dropout" },
        { "model.unk_token", "\"[UNK]\"", "MDL2020", "[UNK]" },
        { "model.end_of_word_suffix", "\"</w>\"", "MDL2020", "</w>" },
        { "model.byte_fallback", "true", "MDL2020", "byte_fallback" },
        { "model.merges", "null", "MDL2002", "model.merges" },
        { "model.merges.0", "\"a\"", "MDL2021", "Merge 0" },
        { "model.merges.0", "[\"a\"]", "MDL2021", "Merge 0" },
        { "model.merges.0", "[\"a\", \"\\u0000\"]", "MDL2021", "not in the vocabulary" },
        { "model.vocab.a", "-1", "MDL2021", "\"a\"" },
        { "model.vocab.a", "1.5", "MDL2021", "\"a\"" },
        { "model.vocab.a", "98", "MDL2021", "98" },
        { "model.vocab.a", "999999999999", "MDL2021", "\"a\"" },
        { "added_tokens.0.id", "0", "MDL2021", "<|endoftext|>" },
        { "added_tokens.0.id", "\"x\"", "MDL2002", "added_tokens[0].id" },
        { "added_tokens.1.lstrip", "true", "MDL2020", "<|im_start|>" },
        { "added_tokens.1.single_word", "true", "MDL2020", "single_word" },
        { "added_tokens.2", "7", "MDL2002", "added_tokens" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_cannot_be_reproduced_is_refused_by_name(string path, string value, string code, string text)
    {
        JsonNode root = JsonNode.Parse(Original)!;
        string[] steps = path.Split('.');
        JsonNode parent = steps[..^1].Aggregate(root, (node, step) => int.TryParse(step, out int index) ? node[index]! : node[step]!);
        if (int.TryParse(steps[^1], out int last))
            parent[last] = JsonNode.Parse(value);
        else
            parent[steps[^1]] = JsonNode.Parse(value);

        ModelFormatException error = Refuse(root.ToJsonString());

        Assert.Equal(code, error.Code);
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vocabulary_without_a_token_for_each_byte_is_refused()
    {
        JsonNode root = JsonNode.Parse(Original)!;
        root["model"]!["vocab"]!.AsObject().Remove("~");

        Assert.Equal("MDL2021", Refuse(root.ToJsonString()).Code);
    }

    [Fact]
    public void A_token_that_is_listed_twice_is_refused() =>
        Assert.Contains("\"a\"", Refuse(Original.Replace("\"b\":", "\"a\":", StringComparison.Ordinal)).Message.Replace('\'', '"'), StringComparison.Ordinal);

    [Theory]
    [InlineData("\"~\": 126", "\"\\ud800\": 126")]
    [InlineData("\"<|im_end|>\"", "\"\\udfff\"")]
    public void Text_that_is_no_Unicode_is_refused(string original, string replacement)
    {
        Assert.Contains(original, Original, StringComparison.Ordinal);
        Assert.Equal("MDL2002", Refuse(Original.Replace(original, replacement, StringComparison.Ordinal)).Code);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        var error = Assert.Throws<ModelFormatException>(() => Tokenizer.Load("/no/such/tokenizer.json"));

        Assert.Equal("MDL2001", error.Code);
        Assert.Contains("/no/such/tokenizer.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_refused() =>
        Assert.Equal("MDL2002", Refuse(string.Concat(Enumerable.Repeat("{\"a\":", 100_000))).Code);

    [Fact]
    public void A_file_cut_anywhere_is_refused()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Original.TrimEnd());
        Gen.Int[0, bytes.Length - 1].Sample(length => { Assert.Throws<ModelFormatException>(() => Load(bytes[..length])); }, iter: 200);
    }

    [Fact]
    public void A_file_with_one_byte_changed_loads_or_is_refused()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Original);
        Gen.Select(Gen.Int[0, bytes.Length - 1], Gen.Byte).Sample((at, value) =>
        {
            byte[] changed = [.. bytes];
            changed[at] = value;
            try
            {
                Load(changed);
            }
            catch (ModelFormatException)
            {
                // Any other exception fails the test.
            }
        }, iter: 400);
    }

    private static ModelFormatException Refuse(string json) => Assert.Throws<ModelFormatException>(() => Load(json));

    private static Tokenizer Load(string json) => Load(Encoding.UTF8.GetBytes(json));

    private static Tokenizer Load(byte[] json)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllBytes(path, json);
        return Tokenizer.Load(path);
    }
}
