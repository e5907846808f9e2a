using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Names and shapes of the tensors of a Qwen2 checkpoint, as Hugging Face writes them.</summary>
public static class Qwen2Tensors
{
    /// <summary>Name of the embedding matrix, [V, D].</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>Name of the LM head, [V, D]; absent where it is tied to the embedding.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>Every tensor that a checkpoint of this shape must hold. Linear weights are [out, in].</summary>
    public static IEnumerable<(string Name, long[] Shape)> Of(TransformerConfig config)
    {
        long d = config.HiddenSize, f = config.IntermediateSize, q = config.QuerySize, kv = config.KeyValueSize, v = config.VocabularySize;
        yield return (Embedding, [v, d]);
        for (int i = 0; i < config.Layers; i++)
        {
            string layer = $"model.layers.{i}.";
            yield return (layer + "input_layernorm.weight", [d]);
            yield return (layer + "self_attn.q_proj.weight", [q, d]);
            yield return (layer + "self_attn.q_proj.bias", [q]);
            yield return (layer + "self_attn.k_proj.weight", [kv, d]);
            yield return (layer + "self_attn.k_proj.bias", [kv]);
            yield return (layer + "self_attn.v_proj.weight", [kv, d]);
            yield return (layer + "self_attn.v_proj.bias", [kv]);
            yield return (layer + "self_attn.o_proj.weight", [d, q]);
            yield return (layer + "post_attention_layernorm.weight", [d]);
            yield return (layer + "mlp.gate_proj.weight", [f, d]);
            yield return (layer + "mlp.up_proj.weight", [f, d]);
            yield return (layer + "mlp.down_proj.weight", [d, f]);
        }

        yield return ("model.norm.weight", [d]);
        if (!config.TiedEmbeddings)
            yield return (Head, [v, d]);
    }
}
