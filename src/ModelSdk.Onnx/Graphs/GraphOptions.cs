namespace ModelSdk.Onnx.Graphs;

/// <summary>How graphs are built over quantized weights.</summary>
public sealed record GraphOptions
{
    /// <summary>Tokens of the KV cache; at most <see cref="Quantization.QuantizedModel.Positions"/>.</summary>
    public required int Context { get; init; }

    /// <summary>
    /// accuracy_level of the 4-bit and 2-bit products. Default 4: activations are rounded to 8 bits per block (about 4 times
    /// faster for one token); 1 computes in fp32.
    /// </summary>
    public int Int4AccuracyLevel { get; init; } = 4;

    /// <summary>accuracy_level of the 8-bit products: linears, LM head and adapters. Default 4, as for 4 bits.</summary>
    public int Int8AccuracyLevel { get; init; } = 4;

    /// <summary>Products that compute in fp32 whatever the levels say, by the name of their weights ("model.layers.3.mlp.down_proj.weight"); an adapter's of the same linear as well.</summary>
    public IReadOnlySet<string> ExactProducts { get; init; } = new HashSet<string>();
}
