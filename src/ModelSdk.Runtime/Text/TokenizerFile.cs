using System.Runtime.InteropServices;
using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Reads tokenizer.json of byte-level BPE; what cannot be reproduced exactly is refused by name.</summary>
internal sealed class TokenizerFile
{
    private const int MaxBytes = 256 << 20;
    private const int MaxId = 1 << 20;

    private readonly string _path;

    private TokenizerFile(string path) => _path = path;

    /// <summary>Ids by token, in the byte alphabet; added tokens are not in it.</summary>
    public Dictionary<string, int> Vocabulary { get; } = new(StringComparer.Ordinal);

    /// <summary>Tokens by id, added ones included; null where an id stands for nothing.</summary>
    public List<string?> Tokens { get; } = [];

    /// <summary>The merges as "left right", first the one that goes first.</summary>
    public List<string> Merges { get; } = [];

    /// <summary>Tokens that are found in the text as they stand.</summary>
    public List<AddedToken> AddedTokens { get; } = [];

    /// <summary>Whether text is brought to normalization form C first.</summary>
    public bool Normalizes { get; private set; }

    /// <summary>Whether a piece that is a token is taken whole, without merging.</summary>
    public bool IgnoresMerges { get; private set; }

    /// <summary>Reads and checks the file.</summary>
    public static TokenizerFile Read(string path)
    {
        using JsonDocument document = JsonFile.Open(path, MaxBytes);
        var root = new JsonKeys(document.RootElement, path);
        var file = new TokenizerFile(path);
        file.Normalizes = TokenizerPipeline.Check(root);
        file.ReadModel(root.Object("model") ?? throw root.Missing("model", "an object"));
        file.ReadAddedTokens(root);
        return file;
    }

    private void ReadModel(JsonKeys model)
    {
        TokenizerPipeline.CheckModel(model);
        IgnoresMerges = model.Boolean("ignore_merges", false);
        JsonKeys vocabulary = model.Object("vocab") ?? throw model.Missing("vocab", "an object");
        foreach (JsonProperty entry in vocabulary.Properties)
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id is < 0 or > MaxId)
                throw Contradictory($"Token \"{vocabulary.Name(entry)}\" of the vocabulary has the id {entry.Value.GetRawText()}; ids are whole numbers from 0 to {MaxId}.");
            string token = vocabulary.Name(entry);
            if (TokenOf(id) is { } other)
                throw Contradictory($"Id {id} of the vocabulary belongs to both \"{other}\" and \"{token}\".");
            Vocabulary.Add(token, id);
            SetToken(id, token);
        }

        ReadMerges(model.Array("merges") ?? throw model.Missing("merges", "an array"));
    }

    private void ReadMerges(JsonElement merges)
    {
        Merges.EnsureCapacity(merges.GetArrayLength());
        var seen = new HashSet<string>(merges.GetArrayLength(), StringComparer.Ordinal);
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<char> buffer = stackalloc char[256];
        int rank = 0;
        foreach (JsonElement merge in merges.EnumerateArray())
        {
            string pair = Pair(merge, rank);
            int at = pair.IndexOf(' ', StringComparison.Ordinal);
            Span<char> merged = pair.Length <= buffer.Length ? buffer[..(pair.Length - 1)] : new char[pair.Length - 1];
            ReadOnlySpan<char> left = pair.AsSpan(0, at), right = pair.AsSpan(at + 1);
            left.CopyTo(merged);
            right.CopyTo(merged[at..]);
            if (!ids.ContainsKey(left) || !ids.ContainsKey(right) || !ids.ContainsKey(merged))
                throw Contradictory($"Merge {rank} (\"{left}\" and \"{right}\") needs a token that is not in the vocabulary.");
            if (!seen.Add(pair))
                throw Contradictory($"Merge {rank} (\"{left}\" and \"{right}\") is in the list twice, so which goes first is not certain.");
            Merges.Add(pair);
            rank++;
        }
    }

    /// <summary>A merge is "left right" in older files and ["left", "right"] in newer ones. Gives the older form; tokens in the byte alphabet hold no space.</summary>
    private string Pair(JsonElement merge, int rank)
    {
        string? pair = merge.ValueKind switch
        {
            JsonValueKind.String => Text(merge),
            JsonValueKind.Array when merge.GetArrayLength() == 2 && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String
                => $"{Text(merge[0])} {Text(merge[1])}",
            _ => null,
        };
        return pair is not null && pair.AsSpan().Count(' ') == 1
            ? pair
            : throw Contradictory($"Merge {rank} is {merge.GetRawText()}; it must be a text of two tokens with a space between, or an array of two tokens.");
    }

    private void ReadAddedTokens(JsonKeys root)
    {
        int index = 0;
        foreach (JsonElement element in root.Array("added_tokens")?.EnumerateArray() ?? default)
        {
            if (element.ValueKind != JsonValueKind.Object)
                throw root.WrongType("added_tokens", "an array of objects", element);
            var keys = new JsonKeys(element, _path, $"added_tokens[{index++}].");
            string content = keys.Text("content") ?? throw keys.Missing("content", "the token's text");
            int id = keys.Int32("id", 0, MaxId);
            foreach (string option in (ReadOnlySpan<string>)["lstrip", "rstrip", "single_word"])
            {
                if (keys.Boolean(option, false))
                    throw keys.Error(option, DiagnosticCodes.TokenizerUnsupported, $"is true for \"{content}\"; only tokens that are found as they stand are supported.");
            }

            string? owner = TokenOf(id);
            bool taken = owner is not null && owner != content;
            if (taken || (Vocabulary.TryGetValue(content, out int inVocabulary) && inVocabulary != id))
                throw Contradictory($"Added token \"{content}\" has id {id}, which {(taken ? $"belongs to \"{owner}\"" : "is not its id in the vocabulary")}.");
            SetToken(id, content);
            bool special = keys.Boolean("special", false);
            AddedTokens.Add(new AddedToken(id, content, special, keys.Boolean("normalized", !special)));
        }
    }

    private string? TokenOf(int id) => id < Tokens.Count ? Tokens[id] : null;

    private void SetToken(int id, string token)
    {
        if (id >= Tokens.Count)
            CollectionsMarshal.SetCount(Tokens, id + 1);
        Tokens[id] = token;
    }

    private string Text(JsonElement value) => new JsonKeys(value, _path, "model.").Unescape(value, "merges");

    private ModelFormatException Contradictory(string message) => new(DiagnosticCodes.TokenizerContradictory, message, _path);
}
