namespace ModelSdk.Runtime;

/// <summary>Settings of a loaded model. The defaults fit an app that answers a few users at a time.</summary>
public sealed record ReasoningModelOptions
{
    /// <summary>Folder of the bundle; null = where the caller says, for a generated client the folder beside the app.</summary>
    public string? BundleFolder { get; init; }

    /// <summary>Threads of one model pass; null = the number of processors. Decoding is limited by memory bandwidth, so more than the cores never helps.</summary>
    public int? Threads { get; init; }

    /// <summary>Most calls that run at the same time; further calls wait their turn. Each holds one KV cache, and one more for each of its streams that run in parallel. Default 4.</summary>
    public int MaxConcurrentCalls { get; init; } = 4;

    /// <summary>Most prompt tokens of one model pass; bounds the memory of activations and how long a cancellation may wait. Default 256.</summary>
    public int PrefillChunk { get; init; } = 256;

    /// <summary>
    /// Whether products of quantized weights read them where they lie in the mapped bundle, by kernels of ModelSdk. Else ONNX Runtime's copy them into a form of their own when they load: a load takes two to three times
    /// as long, weights are in memory twice, a token takes a fifth longer, with an adapter two fifths, and passes of 16 tokens are a sixth shorter (docs/performance.md). For processors with AVX2; others use ONNX Runtime's
    /// kernels either way. Logits differ in their rounding, so the same seed may give other texts. Default true.
    /// </summary>
    public bool ReadWeightsInPlace { get; init; } = true;

    /// <summary>How thoroughly the bundle is checked when it loads. Default: every byte.</summary>
    public BundleCheck Check { get; init; } = BundleCheck.Full;
}

/// <summary>How thoroughly a bundle is checked when it loads.</summary>
public enum BundleCheck
{
    /// <summary>SHA-256 of every file, in parallel with loading (1 to 2 GB/s a core).</summary>
    Full,

    /// <summary>
    /// SHA-256 of every file the first time; later loads compare length and time of change with a note kept in the user's cache folder.
    /// For weights of gigabytes. A file changed without changing its length and time is not noticed.
    /// </summary>
    OncePerFile,

    /// <summary>Digest of model.json and the length of every file; contents are trusted.</summary>
    Lengths,
}
