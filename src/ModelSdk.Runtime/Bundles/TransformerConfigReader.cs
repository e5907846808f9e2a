using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Bundles;

/// <summary>Reads config.json as Hugging Face transformers does (Qwen2Config), and refuses by name what is not supported.</summary>
internal static class TransformerConfigReader
{
    private const int MaxWidth = 1 << 20;

    public static TransformerConfig Read(string path)
    {
        using JsonDocument document = JsonFile.Open(path);
        var keys = new JsonKeys(document.RootElement, path);

        string type = keys.Text("model_type") ?? throw keys.Missing("model_type", "the architecture's name");
        if (type != "qwen2")
            throw keys.Error("model_type", DiagnosticCodes.ArchitectureUnsupported, $"is \"{type}\"; supported is \"qwen2\" (Qwen2 and Qwen2.5). Choose a base of that architecture.");
        if (keys.Find("quantization_config") is not null)
            throw keys.Error("quantization_config", DiagnosticCodes.ConfigFeatureUnsupported, "says that the weights are quantized already; give the base in BF16, F16 or F32, ModelSdk quantizes it.");

        int layers = keys.Int32("num_hidden_layers", 1, 1024);
        int heads = keys.Int32("num_attention_heads", 1, 4096);
        int keyValueHeads = keys.Int32("num_key_value_heads", 1, 4096);
        int hidden = keys.Int32("hidden_size", 1, MaxWidth);
        int intermediate = keys.Int32("intermediate_size", 1, MaxWidth);

        if (heads % keyValueHeads != 0)
            throw keys.Error("num_key_value_heads", DiagnosticCodes.ConfigContradictory, $"is {keyValueHeads}, which does not divide num_attention_heads ({heads}).");
        if (keys.Find("head_dim") is null && hidden % heads != 0)
            throw keys.Error("num_attention_heads", DiagnosticCodes.ConfigContradictory, $"is {heads}, which does not divide hidden_size ({hidden}); no head_dim is given either.");
        int headSize = keys.Int32("head_dim", 2, MaxWidth, hidden / heads);
        if (headSize % 2 != 0)
            throw keys.Error(keys.Find("head_dim") is null ? "num_attention_heads" : "head_dim", DiagnosticCodes.ConfigContradictory, $"makes heads of width {headSize}; rotary positions need an even width.");

        string activation = keys.Text("hidden_act") ?? "silu";
        if (activation != "silu")
            throw keys.Error("hidden_act", DiagnosticCodes.ConfigFeatureUnsupported, $"is \"{activation}\"; supported is \"silu\".");
        RefuseSlidingWindow(keys, layers);

        return new TransformerConfig(
            type,
            keys.Int32("vocab_size", 1, 1 << 24),
            hidden,
            intermediate,
            layers,
            heads,
            keyValueHeads,
            headSize,
            keys.Int32("max_position_embeddings", 1, 1 << 24),
            RopeTheta(keys),
            keys.PositiveDouble("rms_norm_eps", 1e-6),
            keys.Boolean("tie_word_embeddings", false));
    }

    private static void RefuseSlidingWindow(JsonKeys keys, int layers)
    {
        if (keys.Boolean("use_sliding_window", false) && keys.Int32("max_window_layers", 0, int.MaxValue, 28) < layers)
            throw keys.Error("use_sliding_window", DiagnosticCodes.ConfigFeatureUnsupported, "is true for some layers; attention windows are not supported. Choose a base with full attention.");
        if (keys.Array("layer_types") is not { } types)
            return;
        foreach (JsonElement layer in types.EnumerateArray())
        {
            if (layer.ValueKind != JsonValueKind.String || !layer.ValueEquals("full_attention"))
                throw keys.Error("layer_types", DiagnosticCodes.ConfigFeatureUnsupported, $"holds {layer.GetRawText()}; supported is \"full_attention\" in every layer.");
        }
    }

    /// <summary>Older files hold rope_theta and rope_scaling, newer ones rope_parameters with both.</summary>
    private static double RopeTheta(JsonKeys keys)
    {
        double theta = keys.PositiveDouble("rope_theta", 10000);
        foreach (string name in (ReadOnlySpan<string>)["rope_scaling", "rope_parameters"])
        {
            if (keys.Object(name) is not { } rope)
                continue;
            string kind = rope.Text("rope_type") ?? rope.Text("type") ?? "default";
            if (kind != "default")
                throw keys.Error(name, DiagnosticCodes.ConfigFeatureUnsupported, $"asks for \"{kind}\" scaling of positions, which is not supported; remove the key to use the base within its original context.");
            theta = rope.PositiveDouble("rope_theta", theta);
        }

        return theta;
    }
}
