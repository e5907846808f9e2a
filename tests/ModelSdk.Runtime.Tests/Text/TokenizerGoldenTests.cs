using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Text;

public class TokenizerGoldenTests
{
    private static readonly GoldenFile Golden = GoldenFile.Load();
    private static readonly Tokenizer Tokenizer = Tokenizer.Load(GoldenFile.TokenizerPath);

    [Fact]
    public void Every_text_has_the_ids_of_the_reference()
    {
        Assert.All(Golden.Cases, c => Assert.Equal(c.Ids, Tokenizer.Encode(c.Text)));
        Assert.True(Golden.Cases.Count > 500);
    }

    [Fact]
    public void Every_text_has_the_ids_of_the_reference_when_merges_are_ignored_for_whole_tokens()
    {
        Tokenizer whole = Edited(json => json["model"]!["ignore_merges"] = true);

        Assert.All(Golden.Cases, c => Assert.Equal(c.IgnoringMerges ?? c.Ids, whole.Encode(c.Text)));
        Assert.Contains(Golden.Cases, c => c.IgnoringMerges is not null);
    }

    [Fact]
    public void Merges_written_as_texts_mean_the_same_as_pairs()
    {
        Tokenizer texts = Edited(json => json["model"]!["merges"] =
            new JsonArray([.. json["model"]!["merges"]!.AsArray().Select(m => JsonValue.Create($"{m![0]} {m[1]}"))]));

        Assert.All(Golden.Cases, c => Assert.Equal(c.Ids, texts.Encode(c.Text)));
    }

    [Fact]
    public void Ids_decode_to_the_text_of_the_reference()
    {
        Assert.All(Golden.Cases, c =>
        {
            Assert.Equal(c.Decoded ?? c.Text, Tokenizer.Decode(c.Ids));
            Assert.Equal(c.Skipped ?? c.Decoded ?? c.Text, Tokenizer.Decode(c.Ids, skipSpecialTokens: true));
        });
    }

    [Fact]
    public void Ids_that_no_text_gives_decode_as_in_the_reference()
    {
        Assert.All(Golden.Decodes, c =>
        {
            Assert.Equal(c.Decoded ?? "", Tokenizer.Decode(c.Ids));
            Assert.Equal(c.Skipped ?? c.Decoded ?? "", Tokenizer.Decode(c.Ids, skipSpecialTokens: true));
        });
    }

    /// <summary>.NET leaves text as it is under InvariantGlobalization, which this test project sets; the reference does not.</summary>
    [Fact]
    public void All_characters_normalize_as_in_the_reference()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string s in Characters())
        {
            foreach (string text in (ReadOnlySpan<string>)[s, $"a{s}\u0327\u0301", $"\u1100{s}\u11a8", $"o\u0345{s}\u0316{s}"])
                hash.AppendData(Encoding.UTF8.GetBytes(NormalizationFormC.Normalize(text) + "\n"));
        }

        Assert.Equal(Golden.Nfc, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>The general categories are those of .NET 10, which are those of the reference (Unicode 16).</summary>
    [Fact]
    public void All_characters_split_as_in_the_reference()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string s in Characters())
        {
            foreach (string text in (ReadOnlySpan<string>)[$"a{s}b{s}{s} {s}", $"1'{s}  {s}", $"{s}\n{s}!"])
                hash.AppendData(Encoding.UTF8.GetBytes(string.Join('\u0001', Pieces(text)) + "\u0002"));
        }

        Assert.Equal(Golden.Pieces, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private static List<string> Pieces(string text)
    {
        var pieces = new List<string>();
        for (int at = 0; at < text.Length; at += pieces[^1].Length)
            pieces.Add(text.Substring(at, Qwen2Splitter.Next(text.AsSpan(at))));
        return pieces;
    }

    /// <summary>All but surrogates and the planes without characters.</summary>
    private static IEnumerable<string> Characters() =>
        Enumerable.Range(0, 0xE0200).Where(c => c is < 0xD800 or (>= 0xE000 and < 0x32000) or >= 0xE0000).Select(char.ConvertFromUtf32);

    private static Tokenizer Edited(Action<JsonNode> edit)
    {
        JsonNode json = JsonNode.Parse(File.ReadAllText(GoldenFile.TokenizerPath))!;
        edit(json);
        using var folder = new TemporaryFolder();
        return Tokenizer.Load(folder.Write("tokenizer.json", json.ToJsonString()));
    }
}
