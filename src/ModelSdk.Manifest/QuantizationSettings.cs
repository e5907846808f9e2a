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

    /// <summary>
    /// Bits of a linear layer's weight on average, scales included, instead of <see cref="Weights"/>: which layers keep 8, 4 or 2 bits is
    /// chosen by measured error per byte. At least that of int2 with this block. Default null: all layers as <see cref="Weights"/> says.
    /// </summary>
    public double? BitsPerWeight { get; init; }

    /// <summary>
    /// How the quantized weights are chosen. Default <see cref="QuantizationQuality.Fast"/>: with 4 bits it loses nothing on the sample
    /// that an adapter trained on the result does not make up for (measured). Unused where weights are not quantized.
    /// </summary>
    public QuantizationQuality Quality { get; init; } = QuantizationQuality.Fast;

    /// <summary>
    /// Texts that show what flows through the base, JSONL with <c>messages</c> that end with the assistant's turn; read where
    /// <see cref="Quality"/> is not fast. Default null: the training data of the adapters, whose answers are the reasoning that the base will
    /// run on with them (paper 6: self-generated reasoning traces).
    /// </summary>
    public string? Calibration { get; init; }

    /// <summary>Whether the solver looks at what flows through the base.</summary>
    public bool Calibrates => Quality != QuantizationQuality.Fast && Weights != WeightFormat.None;
}
