namespace ModelSdk.Manifest;

/// <summary>How the base's weights, keys and values are stored (paper 6).</summary>
public sealed record QuantizationSettings
{
    /// <summary>
    /// The linear layers. Default <see cref="WeightFormat.Int4"/>: decoding is bound by memory reads, and adapters are
    /// trained on the quantized base, so the loss is recovered (paper 6, QAMR). <see cref="WeightFormat.Int2"/> is below what the
    /// paper goes to (ours): half the bytes, and a base that answers worse without an adapter.
    /// </summary>
    public WeightFormat Weights { get; init; } = WeightFormat.Int4;

    /// <summary>
    /// Weights that share one scale of 32 bits: 32, 64, 128 or 256. Default 32, the most exact; 128 decodes about a fifth
    /// faster and is smaller. Unused where weights are not quantized.
    /// </summary>
    public int Block { get; init; } = 32;

    /// <summary>
    /// Embeddings and LM head; tied bytes are stored once. Default <see cref="WeightFormat.Int8"/> (paper 6 has int8
    /// embeddings). Unused where <see cref="Weights"/> is <see cref="WeightFormat.None"/>.
    /// </summary>
    public WeightFormat Embeddings { get; init; } = WeightFormat.Int8;

    /// <summary>
    /// Keys and values of encoded tokens. Default <see cref="CacheFormat.None"/>, full precision. <see cref="CacheFormat.Int8"/> (paper 6) takes a quarter of its memory and reads
    /// long contexts faster; <see cref="CacheFormat.Int4"/> halves it again, but is slower and less exact. Unused where <see cref="Weights"/> is <see cref="WeightFormat.None"/>.
    /// </summary>
    public CacheFormat KeyValueCache { get; init; } = CacheFormat.None;
}
