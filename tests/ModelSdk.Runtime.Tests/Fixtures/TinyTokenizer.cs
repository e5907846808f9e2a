using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>A byte-level tokenizer in the layout of Qwen2: 256 bytes, the merge "\n\n", the control tokens and the think tags.</summary>
internal static class TinyTokenizer
{
    public const int DoubleNewline = 256;
    public const int EndOfText = 257;
    public const int TurnStart = 258;
    public const int TurnEnd = 259;
    public const int ThinkOpen = 260;
    public const int ThinkClose = 261;

    /// <summary>Padded to a multiple of 32; ids from 262 on stand for nothing.</summary>
    public const int VocabularySize = 288;

    private const string Qwen2Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string ChatMl =
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    private static readonly string[] Added = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"];

    /// <summary>Token id of a single character of ASCII.</summary>
    public static int Id(char character) => character;

    public static void Write(string folder)
    {
        JsonObject vocabulary = [];
        for (int value = 0; value < 256; value++)
            vocabulary[Character((byte)value).ToString()] = value;
        string newline = Character((byte)'\n').ToString();
        vocabulary[newline + newline] = DoubleNewline;
        JsonObject tokenizer = new()
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. Added.Select((content, i) => new JsonObject
            {
                ["id"] = EndOfText + i,
                ["content"] = content,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = i < 3,
            })]),
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = Qwen2Pattern },
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
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray($"{newline} {newline}"),
            },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        JsonObject config = new() { ["chat_template"] = ChatMl, ["eos_token"] = "<|im_end|>" };
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString(new JsonSerializerOptions()));
    }

    private static JsonObject ByteLevel() => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = false,
        ["use_regex"] = false,
    };

    /// <summary>GPT-2's alphabet: printable bytes stand for themselves, the others for characters from U+0100 on.</summary>
    private static char Character(byte value)
    {
        if (Printable(value))
            return (char)value;
        int shift = 0;
        for (int other = 0; other < value; other++)
        {
            if (!Printable((byte)other))
                shift++;
        }

        return (char)(256 + shift);
    }

    private static bool Printable(byte value) => value is (>= (byte)'!' and <= (byte)'~') or (>= 0xA1 and <= 0xAC) or >= 0xAE;
}
