namespace ModelSdk.Onnx.Quantization;

/// <summary>How a matrix is stored.</summary>
public enum WeightFormat
{
    /// <summary>float32, for parity and debugging.</summary>
    None,

    /// <summary>4 bit codes with a float32 scale per block.</summary>
    Int4,

    /// <summary>8 bit codes with a float32 scale per block.</summary>
    Int8,
}

/// <summary>What the quantize stage does.</summary>
public sealed record QuantizationOptions
{
    /// <summary>Format of the linears. Default int4 (paper, section 6).</summary>
    public WeightFormat Weights { get; init; } = WeightFormat.Int4;

    /// <summary>Columns that share a scale: 32, 64 or 128. Default 32: most exact; 128 is 15% smaller and decodes about 30% faster.</summary>
    public int Block { get; init; } = 32;

    /// <summary>Format of the embedding and the LM head, whose bytes are stored once when tied. Default int8 (paper, section 6); ignored when <see cref="Weights"/> is none.</summary>
    public WeightFormat Embeddings { get; init; } = WeightFormat.Int8;
}
