using System.Text.Json.Serialization;

using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Bundles;

/// <summary>model.json: what a compiled model consists of. Every number a client needs to run it stands here; the digest covers all of it.</summary>
/// <remarks>
/// Created by the compiler with <see cref="Seal"/> and <see cref="Write"/>; read by <see cref="Read"/>.
/// The digest is SHA-256 over the canonical JSON of this record without <see cref="Digest"/>; as <see cref="Files"/> holds
/// length and SHA-256 of every file, it covers the whole bundle (report.json and report.html are not part of it).
/// </remarks>
public sealed partial record BundleManifest
{
    /// <summary>Name of the file inside the bundle folder.</summary>
    public const string FileName = "model.json";

    /// <summary>The format version that this runtime writes and reads.</summary>
    public const int CurrentFormatVersion = 2;

    /// <summary>Mode name of the base model without an adapter.</summary>
    public const string BaseMode = "base";

    /// <summary>Mode name under which the switcher chooses the mode; only in bundles with a <see cref="Switcher"/>.</summary>
    public const string AutoMode = "auto";

    /// <summary>Version of this file's format; <see cref="CurrentFormatVersion"/>.</summary>
    public int FormatVersion { get; init; } = CurrentFormatVersion;

    /// <summary>The model's name in PascalCase, e.g. "Tutor".</summary>
    public required string Name { get; init; }

    /// <summary>"sha256:" and 64 hex digits; empty until sealed.</summary>
    public string Digest { get; init; } = "";

    /// <summary>Version of the compiler that wrote the bundle.</summary>
    public required string Compiler { get; init; }

    /// <summary>Shape of the transformer.</summary>
    public required TransformerConfig Architecture { get; init; }

    /// <summary>Tokens that the KV cache holds: prompt and generated tokens together.</summary>
    public required int Context { get; init; }

    /// <summary>How the weights are stored.</summary>
    public required BundleQuantization Quantization { get; init; }

    /// <summary>The one file of base weights and its tensors.</summary>
    public required BundleWeights Weights { get; init; }

    /// <summary>Graph of the base model, relative path.</summary>
    public required string BaseGraph { get; init; }

    /// <summary>
    /// Graph that encodes prompts beside a quantized cache of keys and values: it reads the cache, attends in fp32 and gives the new tokens' keys and values as the
    /// cache holds them, several times faster than the kernel that decodes. Null where the cache is not quantized: the base's graph encodes.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? EncoderGraph { get; init; }

    /// <summary>Adapters, each with its own graph over the same base weights.</summary>
    public required IReadOnlyList<BundleAdapter> Adapters { get; init; }

    /// <summary>Mode used when the caller names none: an adapter's name, "base", or "auto" where there is a switcher.</summary>
    public required string DefaultMode { get; init; }

    /// <summary>The head that chooses the mode from the prompt (paper, section 3); null when there is none.</summary>
    public BundleSwitcher? Switcher { get; init; }

    /// <summary>Named token budgets.</summary>
    public required IReadOnlyList<BundleBudget> Budgets { get; init; }

    /// <summary>Type of the answer.</summary>
    public required BundleAnswer Answer { get; init; }

    /// <summary>Most tokens of an answer that a hard budget forces.</summary>
    public required int AnswerTokens { get; init; }

    /// <summary>Texts put into prompts.</summary>
    public required BundlePrompt Prompt { get; init; }

    /// <summary>Token ids that end a generation.</summary>
    public required IReadOnlyList<int> EosTokens { get; init; }

    /// <summary>Every file the digest covers, by path relative to the bundle with '/' as separator.</summary>
    public IReadOnlyDictionary<string, BundleFile> Files { get; init; } = new SortedDictionary<string, BundleFile>(StringComparer.Ordinal);

    /// <summary>Measured results by mode name, "auto" on the switcher's own questions; empty when the model was not evaluated.</summary>
    public IReadOnlyDictionary<string, BundleMeasurement> Measured { get; init; } = new SortedDictionary<string, BundleMeasurement>(StringComparer.Ordinal);

    /// <summary>How keys and values of encoded tokens are stored.</summary>
    [JsonIgnore]
    public CacheFormat Cache => Quantization.KeyValueCache switch
    {
        "int8" => CacheFormat.Int8,
        "int4" => CacheFormat.Int4,
        _ => CacheFormat.None,
    };

    /// <summary>Bytes of keys and values that each token takes in a cache.</summary>
    [JsonIgnore]
    public long CacheBytesPerToken => 2L * Architecture.Layers * Architecture.KeyValueHeads * Sessions.HeadLayout.Of(Architecture, Cache).Bytes;

    /// <summary>All mode names: "base", then the adapters.</summary>
    [JsonIgnore]
    public IEnumerable<string> Modes => [BaseMode, .. Adapters.Select(a => a.Name)];
}

/// <summary>How weights, keys and values are stored.</summary>
/// <param name="Weights">"int4", "int8", "int2", "none" (fp32), or <see cref="Mixed"/>: formats that differ between layers.</param>
/// <param name="Block">Weights that share one scale, along the input dimension.</param>
/// <param name="Embeddings">"int4", "int8" or "none"; also the LM head.</param>
/// <param name="KeyValueCache">Keys and values of encoded tokens: "int8" or "int4"; null = fp32.</param>
public sealed record BundleQuantization(
    string Weights,
    int Block,
    string Embeddings,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? KeyValueCache = null)
{
    /// <summary>Some layers keep more bits than others.</summary>
    public const string Mixed = "mixed";

    /// <summary>Bits of a weight of the linear layers on average, scales included; null where it was not recorded.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? BitsPerWeight { get; init; }

    /// <summary>How the quantized weights were chosen: "fast", "balanced" or "best"; null where it was not recorded.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Quality { get; init; }
}

/// <summary>The file of base weights.</summary>
/// <param name="File">Relative path, "weights.bin".</param>
/// <param name="Tensors">Directory of the file. Two entries may share bytes (tied embedding and LM head).</param>
public sealed record BundleWeights(string File, IReadOnlyList<BundleTensor> Tensors);

/// <summary>One tensor in the file of base weights; its name is the initializer's name in every graph.</summary>
/// <param name="Name">Initializer name.</param>
/// <param name="Type">Element type: float32, float16, bfloat16, uint8, int8, int32 or int64.</param>
/// <param name="Dims">Shape, row-major; empty for a scalar.</param>
/// <param name="Offset">First byte in the file; a multiple of 64.</param>
/// <param name="Bytes">Length in bytes.</param>
public sealed record BundleTensor(string Name, string Type, IReadOnlyList<long> Dims, long Offset, long Bytes);

/// <summary>One adapter of a bundle.</summary>
/// <param name="Name">The mode's name.</param>
/// <param name="Graph">Relative path of the adapter's graph.</param>
/// <param name="Weights">Relative path of the adapter's own weights.</param>
/// <param name="Rank">LoRA rank.</param>
/// <param name="Alpha">LoRA alpha; the scale is alpha / rank.</param>
/// <param name="Verifier">The head that tells how likely an answer of this adapter is right; null when there is none.</param>
public sealed record BundleAdapter(string Name, string Graph, string Weights, int Rank, double Alpha, BundleVerifierHead? Verifier = null);

/// <summary>The verifier of an adapter's answers (paper, section 5): the verification prompt is appended to the answer, and the graph's one output is read after its last token.</summary>
/// <param name="Graph">Relative path of the graph; its "logits" are [P, 1], the logit of the answer being right.</param>
/// <param name="Weights">Relative path of the LoRA that it runs: the adapter's, or one of its own. The head itself lies in the graph.</param>
/// <param name="Prompt">Text appended after the answer, special tokens included.</param>
/// <param name="Confidence">What the model's own confidence adds to the logit; null when the hidden state decides alone.</param>
public sealed record BundleVerifierHead(string Graph, string Weights, string Prompt, BundleConfidence? Confidence = null);

/// <summary>Adds the model's own confidence in an answer to the verifier's logit: Least x least log probability of its tokens + Mean x mean log probability, at temperature 1.</summary>
/// <param name="Least">Weight of the least sure token.</param>
/// <param name="Mean">Weight of the mean.</param>
public sealed record BundleConfidence(double Least, double Mean)
{
    /// <summary>The sum.</summary>
    /// <param name="confidence">Of the answer's tokens.</param>
    public double Logit(Decoding.SequenceConfidence confidence) => (Least * confidence.Least) + (Mean * confidence.Mean);
}

/// <summary>The switcher (paper, section 3): a head on the running average of the prompt's hidden states.</summary>
/// <param name="Graph">Relative path of the graph that encodes prompts: the base without its LM head, with the switcher's head.</param>
/// <param name="Modes">The mode that each output of the head stands for: the first of the bundle's modes, "base" and at least one adapter. Adapters behind them are never chosen.</param>
/// <param name="Chunk">Tokens whose mean hidden state enters the running average at once.</param>
/// <param name="Smoothing">Weight of a new chunk in the running average, in (0, 1].</param>
/// <param name="Threshold">Least probability of reasoning, 1 - P(base), at which the likeliest adapter answers instead of the base.</param>
public sealed record BundleSwitcher(string Graph, IReadOnlyList<string> Modes, int Chunk, double Smoothing, double Threshold);

/// <summary>A named token budget.</summary>
/// <param name="Name">The budget's name in the manifest.</param>
/// <param name="Tokens">Most tokens generated before the answer is forced; of each stream.</param>
/// <param name="Streams">Answers that are generated side by side and voted on. Default 1.</param>
public sealed record BundleBudget(string Name, int Tokens, int Streams = 1);

/// <summary>Type of a model's answer.</summary>
/// <param name="Type">"text", "integer", "number" or "choice".</param>
/// <param name="Choices">The allowed answers of type "choice"; else null.</param>
public sealed record BundleAnswer(string Type, IReadOnlyList<string>? Choices = null);

/// <summary>Texts put into prompts.</summary>
/// <param name="System">System text; null = the chat template's default.</param>
/// <param name="Budget">Appended to the last user message after one space when a budget is given, with {budget} replaced by the tokens; null or empty = never stated.</param>
/// <param name="ThinkOpen">Opens the reasoning block.</param>
/// <param name="ThinkClose">Closes the reasoning block.</param>
/// <param name="ForceAnswer">Appended when a hard budget cuts inside the reasoning block.</param>
public sealed record BundlePrompt(string? System, string? Budget, string ThinkOpen, string ThinkClose, string ForceAnswer);

/// <summary>Length and digest of one file.</summary>
/// <param name="Bytes">Length in bytes.</param>
/// <param name="Sha256">64 lower-case hex digits.</param>
public sealed record BundleFile(long Bytes, string Sha256);

/// <summary>Measured result of one mode on the evaluation data.</summary>
/// <param name="Accuracy">Share of right answers, 0 to 1.</param>
/// <param name="MeanTokens">Mean count of generated tokens.</param>
/// <param name="MedianTokens">Median count of generated tokens.</param>
/// <param name="Examples">Number of questions.</param>
public sealed record BundleMeasurement(double Accuracy, double MeanTokens, double MedianTokens, int Examples);
