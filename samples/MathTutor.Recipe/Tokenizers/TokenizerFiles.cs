using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MathTutor.Recipe.Tokenizers;

/// <summary>Writes tokenizer.json, tokenizer_config.json and generation_config.json in Hugging Face form.</summary>
internal static class TokenizerFiles
{
    /// <summary>ChatML without a default system text.</summary>
    public const string ChatTemplate =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>Tokens outside the merges; the first three are special.</summary>
    public static readonly IReadOnlyList<string> Added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"];

    private const int Special = 3;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the three files.</summary>
    /// <returns>The number of tokens, added ones included.</returns>
    public static int Write(string folder, IReadOnlyList<(string Left, string Right)> merges, int context)
    {
        Directory.CreateDirectory(folder);
        var vocabulary = new JsonObject();
        foreach (string symbol in BpeTrainer.ByteSymbols.OrderBy(s => s, StringComparer.Ordinal))
        {
            vocabulary[symbol] = vocabulary.Count;
        }

        foreach ((string left, string right) in merges)
        {
            vocabulary[left + right] = vocabulary.Count;
        }

        int first = vocabulary.Count;
        var added = new JsonArray();
        var decoder = new JsonObject();
        for (int i = 0; i < Added.Count; i++)
        {
            JsonObject Token() => new()
            {
                ["content"] = Added[i],
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = i < Special,
            };
            JsonObject listed = Token();
            listed.Insert(0, "id", first + i);
            added.Add(listed);
            decoder[(first + i).ToString(System.Globalization.CultureInfo.InvariantCulture)] = Token();
        }

        JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false };
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = BpeTrainer.SplitPattern },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    ByteLevel()),
            },
            ["post_processor"] = ByteLevel(),
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = "",
                ["end_of_word_suffix"] = "",
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(m => JsonValue.Create($"{m.Left} {m.Right}"))]),
            },
        };
        WriteJson(folder, "tokenizer.json", tokenizer);
        WriteJson(folder, "tokenizer_config.json", new JsonObject
        {
            ["add_bos_token"] = false,
            ["add_prefix_space"] = false,
            ["added_tokens_decoder"] = decoder,
            ["additional_special_tokens"] = new JsonArray("<|im_start|>", "<|im_end|>"),
            ["bos_token"] = null,
            ["chat_template"] = ChatTemplate,
            ["clean_up_tokenization_spaces"] = false,
            ["eos_token"] = "<|im_end|>",
            ["errors"] = "replace",
            ["model_max_length"] = context,
            ["pad_token"] = "<|endoftext|>",
            ["split_special_tokens"] = false,
            ["tokenizer_class"] = "Qwen2Tokenizer",
            ["unk_token"] = null,
        });
        WriteJson(folder, "generation_config.json", new JsonObject
        {
            ["bos_token_id"] = first,
            ["do_sample"] = false,
            ["eos_token_id"] = new JsonArray(first + 2, first),
            ["pad_token_id"] = first,
        });
        return first + Added.Count;
    }

    /// <summary>Writes one JSON file with Unix line ends.</summary>
    public static void WriteJson(string folder, string name, JsonNode json) =>
        File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(Indented).ReplaceLineEndings("\n") + "\n");
}
