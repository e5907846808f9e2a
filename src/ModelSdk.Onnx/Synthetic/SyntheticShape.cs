using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Synthetic;

/// <summary>A shape that <see cref="SyntheticCheckpoint"/> writes: that of a published base, or one small enough for a test.</summary>
/// <param name="Name">Name on the command line.</param>
/// <param name="Config">What config.json holds; for the published shapes the values of the Qwen2.5 Instruct models.</param>
/// <param name="MergedTokens">Tokens of the byte-level vocabulary, the 256 bytes included; the added tokens follow. Fewer than the embedding's rows, as in the originals.</param>
public sealed record SyntheticShape(string Name, TransformerConfig Config, int MergedTokens)
{
    /// <summary>Tokens that Qwen2.5's vocabulary has before its first added token, &lt;|endoftext|&gt;.</summary>
    private const int QwenTokens = 151643;

    /// <summary>Every shape, the smallest first.</summary>
    public static IReadOnlyList<SyntheticShape> All { get; } =
    [
        new("tiny", new TransformerConfig("qwen2", 1024, 128, 384, 4, 4, 2, 32, 4096, 1000000, 1e-6, TiedEmbeddings: true), 960),
        new("qwen2.5-0.5b", Qwen(896, 4864, 24, 14, 2, 64), QwenTokens),
        new("qwen2.5-1.5b", Qwen(1536, 8960, 28, 12, 2, 128), QwenTokens),
        new("qwen2.5-3b", Qwen(2048, 11008, 36, 16, 2, 128), QwenTokens),
        new("qwen2.5-7b", Qwen(3584, 18944, 28, 28, 4, 128) with { VocabularySize = 152064, TiedEmbeddings = false }, QwenTokens),
    ];

    private static TransformerConfig Qwen(int hidden, int intermediate, int layers, int heads, int keyValueHeads, int headSize) =>
        new("qwen2", 151936, hidden, intermediate, layers, heads, keyValueHeads, headSize, 32768, 1000000, 1e-6, TiedEmbeddings: true);
}
