using System.Text.Encodings.Web;
using System.Text.Json;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Onnx.Synthetic;

/// <summary>
/// Writes tokenizer.json, tokenizer_config.json and generation_config.json: byte-level BPE with Qwen2's split and added tokens. Merges are
/// learnt from nothing: they build all pairs, triples and as many groups of four of the commonest letters as the vocabulary holds, with
/// and without a space before them, so English takes about a token for three to four letters.
/// </summary>
internal static class SyntheticTokenizer
{
    private const string SplitPattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string ChatTemplate =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>The letters of English, the commonest first.</summary>
    private const string Letters = "etaoinshrdlucmfwygpbvkxqzj";

    /// <summary>How byte-level BPE spells a space.</summary>
    private const char Space = 'Ġ';

    /// <summary>Tokens outside the merges, in Qwen2.5's order; the first three are special.</summary>
    private static readonly string[] s_added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

    private static readonly JsonWriterOptions s_json = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(string folder, SyntheticShape shape)
    {
        string[] bytes = [.. Enumerable.Range(0, 256).Select(b => ByteAlphabet.Character((byte)b).ToString()).Order(StringComparer.Ordinal)];
        List<(string Left, string Right)> merges = [.. Merges().Take(shape.MergedTokens - bytes.Length)];
        int first = bytes.Length + merges.Count;
        Write(folder, "tokenizer.json", json => WriteTokenizer(json, bytes, merges, first));
        Write(folder, "tokenizer_config.json", json => WriteTokenizerConfig(json, first, shape.Config.MaxPositions));
        Write(folder, "generation_config.json", json =>
        {
            json.WriteNumber("bos_token_id", first);
            json.WriteBoolean("do_sample", false);
            json.WriteStartArray("eos_token_id");
            json.WriteNumberValue(first + 2);
            json.WriteNumberValue(first);
            json.WriteEndArray();
            json.WriteNumber("pad_token_id", first);
        });
    }

    /// <summary>Each merges two tokens that are bytes or were merged before; no two give the same token.</summary>
    internal static IEnumerable<(string Left, string Right)> Merges()
    {
        string[] one = [.. Letters.Select(c => c.ToString())];
        string[] two = [.. Shells(2)];
        foreach (string pair in two)
            yield return (pair[..1], pair[1..]);
        foreach (string letter in one)
            yield return (Space.ToString(), letter);
        foreach (string pair in two)
            yield return (Space + pair[..1], pair[1..]);
        foreach (string triple in Shells(3))
            yield return (triple[..2], triple[2..]);
        foreach (string triple in Shells(3))
            yield return (Space + triple[..2], triple[2..]);
        foreach (string four in Shells(4))
        {
            yield return (four[..2], four[2..]);
            yield return (Space + four[..2], four[2..]);
        }
    }

    /// <summary>All words of so many letters: first those of the commonest letter alone, then those that need the second commonest too, and so on.</summary>
    private static IEnumerable<string> Shells(int length)
    {
        for (int shell = 0; shell < Letters.Length; shell++)
        {
            var digits = new int[length];
            while (true)
            {
                if (digits.Max() == shell)
                    yield return new string([.. digits.Select(d => Letters[d])]);
                int at = length - 1;
                while (at >= 0 && digits[at] == shell)
                    digits[at--] = 0;
                if (at < 0)
                    break;
                digits[at]++;
            }
        }
    }

    private static void WriteTokenizer(Utf8JsonWriter json, string[] bytes, List<(string Left, string Right)> merges, int first)
    {
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        json.WriteStartArray("added_tokens");
        for (int i = 0; i < s_added.Length; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("id", first + i);
            WriteAdded(json, s_added[i]);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("normalizer");
        json.WriteString("type", "NFC");
        json.WriteEndObject();
        json.WriteStartObject("pre_tokenizer");
        json.WriteString("type", "Sequence");
        json.WriteStartArray("pretokenizers");
        json.WriteStartObject();
        json.WriteString("type", "Split");
        json.WriteStartObject("pattern");
        json.WriteString("Regex", SplitPattern);
        json.WriteEndObject();
        json.WriteString("behavior", "Isolated");
        json.WriteBoolean("invert", false);
        json.WriteEndObject();
        json.WriteStartObject();
        WriteByteLevel(json);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartObject("post_processor");
        WriteByteLevel(json);
        json.WriteStartObject("decoder");
        WriteByteLevel(json);

        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        json.WriteNull("unk_token");
        json.WriteString("continuing_subword_prefix", "");
        json.WriteString("end_of_word_suffix", "");
        json.WriteBoolean("fuse_unk", false);
        json.WriteBoolean("byte_fallback", false);
        json.WriteStartObject("vocab");
        int id = 0;
        foreach (string token in bytes.Concat(merges.Select(m => m.Left + m.Right)))
            json.WriteNumber(token, id++);
        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach ((string left, string right) in merges)
            json.WriteStringValue($"{left} {right}");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTokenizerConfig(Utf8JsonWriter json, int first, int positions)
    {
        json.WriteBoolean("add_bos_token", false);
        json.WriteBoolean("add_prefix_space", false);
        json.WriteStartObject("added_tokens_decoder");
        for (int i = 0; i < s_added.Length; i++)
        {
            json.WriteStartObject((first + i).ToString(System.Globalization.CultureInfo.InvariantCulture));
            WriteAdded(json, s_added[i]);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteNull("bos_token");
        json.WriteString("chat_template", ChatTemplate);
        json.WriteBoolean("clean_up_tokenization_spaces", false);
        json.WriteString("eos_token", "<|im_end|>");
        json.WriteString("errors", "replace");
        json.WriteNumber("model_max_length", positions);
        json.WriteString("pad_token", "<|endoftext|>");
        json.WriteBoolean("split_special_tokens", false);
        json.WriteString("tokenizer_class", "Qwen2Tokenizer");
        json.WriteNull("unk_token");
    }

    private static void WriteAdded(Utf8JsonWriter json, string content)
    {
        json.WriteString("content", content);
        foreach (string option in (ReadOnlySpan<string>)["single_word", "lstrip", "rstrip", "normalized"])
            json.WriteBoolean(option, false);
        json.WriteBoolean("special", true);
    }

    /// <summary>The properties and the end of an object that was begun.</summary>
    private static void WriteByteLevel(Utf8JsonWriter json)
    {
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", false);
        json.WriteBoolean("use_regex", false);
        json.WriteEndObject();
    }

    private static void Write(string folder, string name, Action<Utf8JsonWriter> properties)
    {
        using FileStream stream = File.Create(Path.Combine(folder, name));
        using var json = new Utf8JsonWriter(stream, s_json);
        json.WriteStartObject();
        properties(json);
        json.WriteEndObject();
    }
}
