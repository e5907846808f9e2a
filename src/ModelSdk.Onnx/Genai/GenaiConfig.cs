using System.Text.Json;
using System.Text.Json.Nodes;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Genai;

/// <summary>
/// genai_config.json: what onnxruntime-genai reads beside genai.onnx and the tokenizer's files. Only properties that all its versions since adapters came know:
/// it refuses others.
/// </summary>
public static class GenaiConfig
{
    /// <summary>The file's name; genai looks for it in the model's folder.</summary>
    public const string FileName = "genai_config.json";

    /// <summary>Writes the file.</summary>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="context">Most tokens of a sequence.</param>
    /// <param name="endTokens">Tokens that end an answer.</param>
    /// <param name="padding">Token that pads; one that prompts do not hold, because genai leaves it out of the mask.</param>
    /// <param name="folder">The bundle's folder.</param>
    public static void Write(TransformerConfig config, int context, IReadOnlyList<int> endTokens, int padding, string folder)
    {
        JsonObject decoder = new()
        {
            ["session_options"] = new JsonObject { ["log_id"] = "onnxruntime-genai", ["provider_options"] = new JsonArray() },
            ["filename"] = GraphExporter.GenaiGraphName,
            ["head_size"] = config.HeadSize,
            ["hidden_size"] = config.HiddenSize,
            ["inputs"] = new JsonObject
            {
                ["input_ids"] = "input_ids",
                ["attention_mask"] = "attention_mask",
                ["past_key_names"] = "past_key_values.%d.key",
                ["past_value_names"] = "past_key_values.%d.value",
            },
            ["outputs"] = new JsonObject { ["logits"] = "logits", ["present_key_names"] = "present.%d.key", ["present_value_names"] = "present.%d.value" },
            ["num_attention_heads"] = config.Heads,
            ["num_hidden_layers"] = config.Layers,
            ["num_key_value_heads"] = config.KeyValueHeads,
        };
        JsonObject root = new()
        {
            ["model"] = new JsonObject
            {
                ["bos_token_id"] = padding,
                ["context_length"] = context,
                ["decoder"] = decoder,
                ["eos_token_id"] = new JsonArray([.. endTokens.Select(t => (JsonNode)t)]),
                ["pad_token_id"] = padding,
                ["type"] = config.Type,
                ["vocab_size"] = config.VocabularySize,
            },
            ["search"] = new JsonObject
            {
                ["do_sample"] = false,
                ["max_length"] = context,
                ["min_length"] = 0,
                ["num_beams"] = 1,
                ["num_return_sequences"] = 1,
                ["past_present_share_buffer"] = true,
                ["repetition_penalty"] = 1.0,
                ["temperature"] = 1.0,
                ["top_k"] = 1,
                ["top_p"] = 1.0,
            },
        };
        File.WriteAllText(Path.Combine(folder, FileName), root.ToJsonString(s_indented) + "\n");
    }

    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true, NewLine = "\n" };
}
