using System.Buffers;
using System.Text;
using Microsoft.ML.Tokenizers;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Byte-level BPE from a Hugging Face tokenizer.json (Qwen2, Qwen2.5): the same ids as the Hugging Face tokenizers library. Thread-safe.</summary>
/// <remarks>
/// Merging is <see cref="BpeTokenizer"/>'s. What comes before it (added tokens, normalization form C, the split) is done here, because the
/// library's regular expressions see halves of characters outside the BMP and .NET does not normalize under InvariantGlobalization.
/// </remarks>
public sealed class Tokenizer
{
    private readonly Dictionary<string, int> _vocabulary;
    private readonly BpeTokenizer _merging;
    private readonly bool _normalizes;
    private readonly bool _ignoresMerges;
    private readonly Dictionary<string, int> _added = new(StringComparer.Ordinal);
    private readonly HashSet<int> _special = [];
    private readonly AddedTokenMatcher _addedAsGiven;
    private readonly AddedTokenMatcher _addedNormalized;
    private readonly List<string?> _tokens;
    private readonly byte[]?[] _bytes;

    private Tokenizer(TokenizerFile file, string path)
    {
        _vocabulary = file.Vocabulary;
        _merging = BpeTokenizer.Create(new BpeOptions(file.Vocabulary) { Merges = file.Merges });
        _normalizes = file.Normalizes;
        _ignoresMerges = file.IgnoresMerges;
        foreach (AddedToken token in file.AddedTokens)
        {
            _added[token.Content] = token.Id;
            if (token.Special)
                _special.Add(token.Id);
        }

        _addedAsGiven = new AddedTokenMatcher(file.AddedTokens.Where(t => !t.Normalized).Select(t => (t.Content, t.Id)));
        _addedNormalized = new AddedTokenMatcher(file.AddedTokens.Where(t => t.Normalized).Select(t => (Normalize(t.Content), t.Id)));

        _tokens = file.Tokens;
        _bytes = new byte[Count][];
        CheckBytes(path);
    }

    /// <summary>Number of ids: one more than the highest. The model's vocabulary may be larger (padding).</summary>
    public int Count => _tokens.Count;

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelFormatException">The file is missing, malformed, or uses something else than byte-level BPE with Qwen2's split.</exception>
    public static Tokenizer Load(string path) => new(TokenizerFile.Read(path), path);

    /// <summary>Encodes text. Added and special tokens are recognised in it; nothing is put before or after.</summary>
    /// <param name="text">The text. Halves of surrogate pairs count as U+FFFD.</param>
    public int[] Encode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>((text.Length / 3) + 4);
        ReadOnlySpan<char> rest = WellFormed(text);
        while (_addedAsGiven.Find(rest, out int start, out int length, out int id))
        {
            EncodeNormalized(rest[..start], ids);
            ids.Add(id);
            rest = rest[(start + length)..];
        }

        EncodeNormalized(rest, ids);
        return [.. ids];
    }

    /// <summary>Decodes ids. Bytes that are not valid UTF-8 become U+FFFD; ids that stand for nothing (padding of the vocabulary) are left out.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = false)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(16, ids.Length * 4));
        foreach (int id in ids)
            bytes.Write(TokenBytes(id, skipSpecialTokens));
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>Id of a token: an added token by its text, any other as tokenizer.json spells it. Null where there is none.</summary>
    public int? TokenId(string token) =>
        _added.TryGetValue(token, out int id) || _vocabulary.TryGetValue(token, out id) ? id : null;

    /// <summary>Whether an id belongs to a special token (control tokens such as &lt;|im_end|&gt;).</summary>
    public bool IsSpecial(int id) => _special.Contains(id);

    /// <summary>Bytes of a token; not always whole characters. Empty for ids that stand for nothing.</summary>
    internal ReadOnlySpan<byte> TokenBytes(int id, bool skipSpecialTokens)
    {
        if ((uint)id >= (uint)_bytes.Length || (skipSpecialTokens && _special.Contains(id)) || _tokens[id] is not { } token)
            return [];
        return _bytes[id] ??= ByteAlphabet.Decode(token); // threads may race to the same bytes
    }

    private void EncodeNormalized(ReadOnlySpan<char> text, List<int> ids)
    {
        if (text.IsEmpty)
            return;
        ReadOnlySpan<char> rest = Normalize(text.ToString());
        while (_addedNormalized.Find(rest, out int start, out int length, out int id))
        {
            EncodePieces(rest[..start], ids);
            ids.Add(id);
            rest = rest[(start + length)..];
        }

        EncodePieces(rest, ids);
    }

    private void EncodePieces(ReadOnlySpan<char> text, List<int> ids)
    {
        while (!text.IsEmpty)
        {
            int length = Qwen2Splitter.Next(text);
            EncodePiece(text[..length], ids);
            text = text[length..];
        }
    }

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> ids)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(piece.Length));
        string spelled = ByteAlphabet.Encode(bytes.AsSpan(0, Encoding.UTF8.GetBytes(piece, bytes)));
        ArrayPool<byte>.Shared.Return(bytes);
        if (_ignoresMerges && _vocabulary.TryGetValue(spelled, out int whole))
            ids.Add(whole);
        else
            ids.AddRange(_merging.EncodeToIds(spelled, considerPreTokenization: false, considerNormalization: false));
    }

    private string Normalize(string text) => _normalizes ? NormalizationFormC.Normalize(text) : text;

    /// <summary>Every byte that UTF-8 uses must have a token; the others never occur.</summary>
    private void CheckBytes(string path)
    {
        for (int value = 0; value < 256; value++)
        {
            bool occurs = value is not (0xC0 or 0xC1 or >= 0xF5);
            string token = ByteAlphabet.Character((byte)value).ToString();
            if (occurs && !_vocabulary.ContainsKey(token))
                throw new ModelFormatException(DiagnosticCodes.TokenizerContradictory, $"The vocabulary has no token for byte 0x{value:X2} (\"{token}\"); some text could not be encoded.", path);
        }
    }

    /// <summary>Replaces halves of surrogate pairs.</summary>
    private static string WellFormed(string text)
    {
        for (int i = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF'); i >= 0 && i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
                i++;
            else
                return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        }

        return text;
    }
}
