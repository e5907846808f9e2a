using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>
/// What the evaluate stage measured: evaluation.json in its store entry. Holds measurements only, so that it is the same bytes for the same
/// inputs: how long each part took is in timings.json beside it, and gates are judged when a manifest is compiled (they change no key).
/// </summary>
public sealed record EvaluationResults
{
    /// <summary>File name in the stage's entry.</summary>
    public const string FileName = "evaluation.json";

    /// <summary>Questions asked of each mode.</summary>
    public required int Examples { get; init; }

    /// <summary>Most tokens of an answer with its reasoning.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Temperature of sampled measurements with a stated budget; 0 when none was made.</summary>
    public double Temperature { get; init; }

    /// <summary>Sampling seeds of each sampled measurement: what spreads are over.</summary>
    public int Seeds { get; init; }

    /// <summary>The base answering directly, greedy, as deployed (ONNX Runtime).</summary>
    public required ModeResult Base { get; init; }

    /// <summary>Wrong answers of the base, the first in the data; three at most.</summary>
    public required IReadOnlyList<FailedExample> BaseFailures { get; init; }

    /// <summary>Each adapter, by name.</summary>
    public required SortedDictionary<string, AdapterResult> Adapters { get; init; }

    /// <summary>Accuracy under hard budgets, adapter by adapter in the manifest's order, budgets ascending (paper 4); empty when not measured.</summary>
    public IReadOnlyList<HardBudgetResult> HardBudgets { get; init; } = [];

    /// <summary>The switcher on mixed questions (paper 3); null when not measured.</summary>
    public SwitcherResult? Switcher { get; init; }

    /// <summary>The verifiers' judgement of sampled answers, in the manifest's order (paper 5); empty when not measured.</summary>
    public IReadOnlyList<VerifierResult> Verifiers { get; init; } = [];

    /// <summary>Votes against streams, adapter by adapter, streams ascending (paper 5); empty when not measured.</summary>
    public IReadOnlyList<ParallelResult> Parallel { get; init; } = [];

    /// <summary>Policies that end streams early, at the greatest measured number of streams; empty when not measured.</summary>
    public IReadOnlyList<EarlyStoppingResult> EarlyStopping { get; init; } = [];

    /// <summary>A few questions with what each mode made of them.</summary>
    public required IReadOnlyList<ExampleTrace> Traces { get; init; }

    /// <summary>Writes the results.</summary>
    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, EvaluationJson.Default.EvaluationResults));

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static EvaluationResults Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), EvaluationJson.Default.EvaluationResults) ?? throw new JsonException($"{path} is empty.");
}

/// <summary>A question with the answer of each mode, greedy, as deployed.</summary>
/// <param name="Question">The last user message.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Answers">
/// By mode: <c>base</c>; an adapter's name (as shipped, no budget stated); <c>NAME.sft</c> (after SFT alone, where budget forcing came after
/// it); <c>NAME.stated</c> (as shipped, with the evaluation's budget stated, where there is one).
/// </param>
public sealed record ExampleTrace(string Question, string Expected, SortedDictionary<string, ScoredAnswer> Answers);

/// <summary>One answer with its score.</summary>
/// <param name="Text">The answer.</param>
/// <param name="Reasoning">The reasoning block; null when there was none.</param>
/// <param name="Tokens">Generated tokens, reasoning and answer.</param>
/// <param name="Right">Whether it means the expected answer; with a grader, whether its score is at least one half.</param>
/// <param name="Finished">Whether the model ended its turn before the token limit.</param>
public sealed record ScoredAnswer(string Text, string? Reasoning, int Tokens, bool Right, bool Finished);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, NewLine = "\n")]
[JsonSerializable(typeof(EvaluationResults))]
internal sealed partial class EvaluationJson : JsonSerializerContext;
