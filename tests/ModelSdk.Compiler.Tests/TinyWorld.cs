using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests;

/// <summary>
/// A model small enough to compile in seconds: a random base (2 layers, width 32), a byte-level tokenizer without merges, 40 training
/// lines and 8 questions. It learns nothing; what is tested is the compile around it.
/// </summary>
internal sealed class TinyWorld : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TinyWorld()
    {
        WriteBase(_folder["project", "base"], seed: 1);
        WriteData("train.jsonl", 0, 40, withTrace: true);
        WriteData("test.jsonl", 40, 8, withTrace: false);
        Save();
    }

    /// <summary>The manifest as JSON; change it and <see cref="Save"/>.</summary>
    public JsonObject Manifest { get; } = JsonNode.Parse("""
        {
          "name": "Tiny",
          "base": "base",
          "context": 160,
          "quantization": { "weights": "int4", "block": 32, "embeddings": "int8" },
          "adapters": {
            "sums": { "train": "train.jsonl", "rank": 4, "alpha": 8, "sft": { "steps": 6, "batchSize": 8, "learningRate": 0.003, "checkpointEverySteps": 2 } }
          },
          "budgets": { "short": 16 },
          "answer": "integer",
          "evaluation": { "data": "test.jsonl", "maxTokens": 12 }
        }
        """)!.AsObject();

    /// <summary>The stages that this world's manifest has; those of <see cref="WithEveryStage"/> are all.</summary>
    public static IReadOnlyList<string> Stages { get; } = ["resolve", "quantize", "sft", "export", "evaluate", "bundle"];

    /// <summary>
    /// The same with every stage: budget forcing, switcher, verifier, and all that is measured of them. The adapter learns to answer 0 or 1 after
    /// a word of reasoning, which is right half the time.
    /// </summary>
    public static TinyWorld WithEveryStage()
    {
        TinyWorld world = new();
        WriteBase(world._folder["project", "base"], seed: 1, embeddings: 4); // long vectors let the LM head be sure of a token
        world.WriteCoins("train.jsonl", 0, 64, withTrace: true);
        world.WriteCoins("test.jsonl", 64, 12, withTrace: false);
        world.WriteModes("modes.jsonl", 0, 40);
        world.WriteModes("mixed.jsonl", 40, 16);
        JsonObject adapter = world.Manifest["adapters"]!["sums"]!.AsObject();
        adapter["sft"] = JsonNode.Parse("""{ "steps": 60, "batchSize": 16, "learningRate": 0.02, "checkpointEverySteps": 20 }""");
        adapter["budget"] = JsonNode.Parse("""{ "steps": 4, "prompts": 4, "samples": 4, "temperature": 1.0, "learningRate": 0.001, "budgets": [6, 10], "maxTokens": 12, "checkpointEverySteps": 1 }""");
        adapter["verifier"] = JsonNode.Parse("""{ "questions": 16, "samples": 4, "temperature": 1.0, "holdout": 0.5, "steps": 10, "batchSize": 8, "prompt": "<|im_end|>\nRight?" }""");
        world.Manifest["switcher"] = JsonNode.Parse("""{ "train": "modes.jsonl", "steps": 20, "batchSize": 16, "chunk": 8 }""");
        world.Manifest["default"] = "auto";
        world.Manifest["budgets"] = JsonNode.Parse("""{ "short": 10, "vote": { "tokens": 12, "streams": 4 } }""");
        world.Manifest["evaluation"] = JsonNode.Parse("""
            { "data": "test.jsonl", "maxTokens": 12, "seeds": 2, "hardBudgets": [4, 8], "streams": [1, 2, 4], "streamTemperature": 1.0, "switcherData": "mixed.jsonl" }
            """);
        world.Save();
        return world;
    }

    public string Project => _folder["project"];

    public string ManifestPath => _folder["project", "tiny.model.json"];

    public string Store => _folder["store"];

    public string Output => _folder["out", "tiny"];

    public string this[params string[] parts] => _folder[parts];

    public void Save() => File.WriteAllText(ManifestPath, Manifest.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));

    public void WriteData(string file, int first, int count, bool withTrace)
    {
        StringBuilder lines = new();
        for (int i = first; i < first + count; i++)
        {
            int a = i % 7;
            int b = (i * 3) % 5;
            string question = string.Create(CultureInfo.InvariantCulture, $"{i}: {a}+{b}?");
            string trace = withTrace ? string.Create(CultureInfo.InvariantCulture, $$""",{"role":"assistant","content":"<think>{{a}}+{{b}}={{a + b}}</think>\n\n{{a + b}}"}""") : "";
            lines.Append(CultureInfo.InvariantCulture, $$"""{"messages":[{"role":"user","content":"{{question}}"}{{trace}}],"answer":"{{a + b}}"}""").Append('\n');
        }

        File.WriteAllText(Path.Combine(Project, file), lines.ToString());
    }

    /// <summary>Gives another world this one's filled store.</summary>
    public TinyWorld CopyStoreTo(TinyWorld world)
    {
        foreach (string file in Directory.GetFiles(Store, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(world.Store, Path.GetRelativePath(Store, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return world;
    }

    /// <summary>Questions whose answer is 0 or 1.</summary>
    public void WriteCoins(string file, int first, int count, bool withTrace) => File.WriteAllLines(
        Path.Combine(Project, file),
        Enumerable.Range(first, count).Select(i => new JsonObject
        {
            ["messages"] = new JsonArray(
            [
                new JsonObject { ["role"] = "user", ["content"] = $"{i}: {i % 7}?" },
                .. withTrace ? [new JsonObject { ["role"] = "assistant", ["content"] = $"<think>{(i % 3 == 0 ? "a" : "aa")}</think>\n\n{i / 3 % 2}" }] : (JsonNode[])[],
            ]),
            ["answer"] = $"{i / 3 % 2}",
        }.ToJsonString()));

    /// <summary>Prompts for the switcher: those with a question mark reason.</summary>
    public void WriteModes(string file, int first, int count) => File.WriteAllLines(
        Path.Combine(Project, file),
        Enumerable.Range(first, count).Select(i => new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = i % 2 == 0 ? $"say {i}!" : $"sum {i}?" }),
            ["answer"] = $"{i / 3 % 2}",
            ["mode"] = i % 2 == 0 ? "base" : "sums",
        }.ToJsonString()));

    public void Dispose() => _folder.Dispose();

    private static void WriteBase(string folder, int seed, double embeddings = 1)
    {
        Directory.CreateDirectory(folder);
        TransformerConfig config = new("qwen2", 264, 32, 64, 2, 2, 1, 16, 256, 10000, 1e-6, true);
        Random random = new(seed);
        Dictionary<string, float[]> weights = new(StringComparer.Ordinal);
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
        {
            bool norm = name.Contains("norm", StringComparison.Ordinal);
            weights[name] = [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (x, y) => x * y)).Select(_ => norm ? 1f : (float)((random.NextDouble() - 0.5) * 0.4 * (name.Contains("embed", StringComparison.Ordinal) ? embeddings : 1)))];
        }

        CheckpointWriter.Write(folder, config, name => weights[name]);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), Tokenizer().ToJsonString());
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), new JsonObject
        {
            ["chat_template"] = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
            ["eos_token"] = "<|im_end|>",
            ["tokenizer_class"] = "Qwen2Tokenizer",
        }.ToJsonString());
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), """{ "eos_token_id": [258, 256] }""");
    }

    private static JsonObject Tokenizer()
    {
        JsonObject vocabulary = [];
        int next = 0;
        foreach (char c in ByteAlphabet())
        {
            vocabulary[c.ToString()] = next++;
        }

        JsonObject Bytes() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false };
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. ((string[])["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]).Select((text, i) => (JsonNode)new JsonObject
            {
                ["id"] = 256 + i,
                ["content"] = text,
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
                        ["pattern"] = new JsonObject { ["Regex"] = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    Bytes()),
            },
            ["post_processor"] = Bytes(),
            ["decoder"] = Bytes(),
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
                ["merges"] = new JsonArray(),
            },
        };
    }

    // The alphabet of byte-level BPE: printable bytes stand for themselves, the others for characters from U+0100 on.
    private static IEnumerable<char> ByteAlphabet()
    {
        int shifted = 256;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            yield return (char)(printable ? b : shifted++);
        }
    }
}
