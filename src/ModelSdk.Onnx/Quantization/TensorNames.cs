namespace ModelSdk.Onnx.Quantization;

/// <summary>Names of stored tensors, which are the initializers' names in every graph, and Hugging Face names of the weights in them.</summary>
internal static class TensorNames
{
    public const string Embedding = "model.embed_tokens.weight";
    public const string Head = "lm_head.weight";
    public const string FinalNorm = "model.norm.weight";
    public const string RotaryCos = "rotary.cos";
    public const string RotarySin = "rotary.sin";

    /// <summary>The fused linears of a layer, in the order of execution: the stored name and the modules whose rows it holds.</summary>
    public static readonly IReadOnlyList<(string Fused, string[] Modules)> Linears =
    [
        ("self_attn.qkv_proj", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
        ("self_attn.o_proj", ["self_attn.o_proj"]),
        ("mlp.gate_up_proj", ["mlp.gate_proj", "mlp.up_proj"]),
        ("mlp.down_proj", ["mlp.down_proj"]),
    ];

    public static string Layer(int layer, string module) => $"model.layers.{layer}.{module}";

    public static string Scales(string weight) => $"{weight}.scales";
}
