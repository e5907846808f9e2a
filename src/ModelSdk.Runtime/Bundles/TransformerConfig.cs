namespace ModelSdk.Runtime.Bundles;

/// <summary>Shape and constants of a decoder-only transformer, as a Hugging Face config.json states them.</summary>
/// <param name="Type">Architecture; "qwen2" (RMSNorm, SwiGLU, grouped-query attention, biases on q/k/v, rotary positions).</param>
/// <param name="VocabularySize">Rows of the embedding, padding included; may exceed the tokenizer's count of ids.</param>
/// <param name="HiddenSize">Width of the residual stream, D.</param>
/// <param name="IntermediateSize">Width of the feed-forward network.</param>
/// <param name="Layers">Number of decoder layers.</param>
/// <param name="Heads">Query heads, H.</param>
/// <param name="KeyValueHeads">Key/value heads, KVH; divides <paramref name="Heads"/>.</param>
/// <param name="HeadSize">Width of one head; even. Usually D / H.</param>
/// <param name="MaxPositions">Most positions the base was trained for (max_position_embeddings), in tokens.</param>
/// <param name="RopeTheta">Base of the rotary frequencies; 10000 where config.json does not say.</param>
/// <param name="RmsNormEpsilon">Constant under the root of RMSNorm.</param>
/// <param name="TiedEmbeddings">Whether the LM head is the embedding matrix.</param>
public sealed record TransformerConfig(
    string Type,
    int VocabularySize,
    int HiddenSize,
    int IntermediateSize,
    int Layers,
    int Heads,
    int KeyValueHeads,
    int HeadSize,
    int MaxPositions,
    double RopeTheta,
    double RmsNormEpsilon,
    bool TiedEmbeddings)
{
    /// <summary>Width of all query heads: H * HeadSize.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int QuerySize => Heads * HeadSize;

    /// <summary>Width of all key (or value) heads: KVH * HeadSize.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int KeyValueSize => KeyValueHeads * HeadSize;

    /// <summary>Reads and validates a Hugging Face config.json.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelFormatException">The file is missing or malformed, the architecture or a feature it asks for is not supported, or its values contradict each other.</exception>
    public static TransformerConfig Load(string path) => TransformerConfigReader.Read(path);
}
