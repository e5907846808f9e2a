using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Runtime.Measurement;

/// <summary>Speed and memory of a bundle on this machine; what `modelc bench` prints.</summary>
/// <param name="Machine">Processor architecture, operating system and number of processors.</param>
/// <param name="Threads">Threads of one model pass.</param>
/// <param name="ReadBandwidthGBs">Memory read bandwidth of this run with the same threads, in 10^9 bytes a second.</param>
/// <param name="WeightBytesPerToken">Bytes of base weights that one decode step must read.</param>
/// <param name="KeyValueCache">How keys and values are stored: "int8", "int4" or "fp32".</param>
/// <param name="CacheBytesPerToken">Bytes of keys and values that each token of a sequence takes.</param>
/// <param name="Decode">Single-stream decoding, one entry a mode; the reasoning mode again behind 512, 2048, ... tokens where the context holds them; then 2, 4 and 8 parallel streams of the default adapter, or of the first where the default is no adapter.</param>
/// <param name="Prefill">Prompt encoding by the base, one entry a length.</param>
/// <param name="Drafts">Passes of the reasoning mode that check guessed tokens, one entry a number of tokens.</param>
/// <param name="TimeToFirstToken">From the rendered prompt to the first token, for prompts of 512 and 2048 tokens as far as the context holds them.</param>
/// <param name="LoadMs">Loading with all digests checked, files in the page cache, in milliseconds.</param>
/// <param name="RssMb">Resident memory of the process after the run, in 2^20 bytes; mapped weights included.</param>
public sealed record BenchmarkReport(
    string Machine,
    int Threads,
    [property: JsonPropertyName("readBandwidthGBs")] double ReadBandwidthGBs,
    long WeightBytesPerToken,
    string KeyValueCache,
    long CacheBytesPerToken,
    IReadOnlyList<DecodeMeasurement> Decode,
    IReadOnlyList<PrefillMeasurement> Prefill,
    IReadOnlyList<DraftMeasurement> Drafts,
    IReadOnlyList<FirstTokenMeasurement> TimeToFirstToken,
    double LoadMs,
    double RssMb)
{
    /// <summary>What guessed tokens bring on questions; null when none were given.</summary>
    public SpeculationMeasurement? Speculation { get; init; }

    /// <summary>The report as JSON, indented.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, BenchmarkJson.Default.BenchmarkReport);
}

/// <summary>Decoding speed of a mode.</summary>
/// <param name="Mode">"base" or an adapter's name.</param>
/// <param name="Streams">Sequences decoded at once.</param>
/// <param name="ContextTokens">Tokens in the cache when the measurement began.</param>
/// <param name="MsPerStep">Median time of a step, sampling included, in milliseconds.</param>
/// <param name="TokensPerSecond">Streams * 1000 / MsPerStep.</param>
/// <param name="RooflineFraction">Time to read the base weights once at the measured bandwidth, as a share of the step. May exceed 1 where the weights fit in the processor's cache.</param>
public sealed record DecodeMeasurement(string Mode, int Streams, int ContextTokens, double MsPerStep, double TokensPerSecond, double RooflineFraction);

/// <summary>A pass of several tokens of one sequence with logits behind each.</summary>
/// <param name="Mode">"base" or an adapter's name.</param>
/// <param name="Tokens">Tokens of the pass: one that was chosen, the others guessed.</param>
/// <param name="MsPerPass">Median, without choosing tokens, in milliseconds.</param>
public sealed record DraftMeasurement(string Mode, int Tokens, double MsPerPass);

/// <summary>Answers to the same questions without and with guessed tokens (<see cref="ReasoningRequest.DraftTokens"/>), greedy, one stream.</summary>
/// <param name="Questions">Number of questions.</param>
/// <param name="GeneratedTokens">Tokens generated without guesses.</param>
/// <param name="SameTexts">Questions whose reasoning, answer and number of tokens were the same; all of them, unless something is wrong.</param>
/// <param name="PlainPasses">Model passes without.</param>
/// <param name="Passes">Model passes with.</param>
/// <param name="DraftedTokens">Tokens that were guessed.</param>
/// <param name="AcceptedTokens">Those that were right.</param>
/// <param name="PlainMsPerToken">Time of a generated token without, prompts included, in milliseconds.</param>
/// <param name="MsPerToken">Time of a generated token with, in milliseconds.</param>
public sealed record SpeculationMeasurement(
    int Questions,
    int GeneratedTokens,
    int SameTexts,
    int PlainPasses,
    int Passes,
    int DraftedTokens,
    int AcceptedTokens,
    double PlainMsPerToken,
    double MsPerToken);

/// <summary>Speed of prompt encoding.</summary>
/// <param name="Tokens">Tokens encoded into an empty cache.</param>
/// <param name="TokensPerSecond">Median.</param>
/// <param name="SwitcherCost">How much longer it takes when the switcher reads the prompt in the same pass, as a share (paper, section 3); null without a switcher.</param>
public sealed record PrefillMeasurement(int Tokens, double TokensPerSecond, double? SwitcherCost = null);

/// <summary>Time to the first token, in milliseconds; medians.</summary>
/// <param name="PromptTokens">Tokens of the prompt, generation prompt included.</param>
/// <param name="Base">The base on an empty cache.</param>
/// <param name="ReasonShared">The default adapter on a prompt that the base has encoded: it runs the generation prompt only. Null without adapters.</param>
/// <param name="ReasonReencoded">The default adapter on an empty cache. Null without adapters.</param>
public sealed record FirstTokenMeasurement(int PromptTokens, double Base, double? ReasonShared, double? ReasonReencoded);

/// <summary>Compiled JSON contract of the report.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, NewLine = "\n")]
[JsonSerializable(typeof(BenchmarkReport))]
internal sealed partial class BenchmarkJson : JsonSerializerContext;
