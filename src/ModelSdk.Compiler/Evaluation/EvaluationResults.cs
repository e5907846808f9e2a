using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>What the evaluate stage measured: evaluation.json in its store entry.</summary>
public sealed record EvaluationResults
{
    /// <summary>File name in the stage's entry.</summary>
    public const string FileName = "evaluation.json";

    /// <summary>Questions asked of each mode.</summary>
    public required int Examples { get; init; }

    /// <summary>Most tokens of an answer with its reasoning.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>The base answering directly, as deployed (ONNX Runtime).</summary>
    public required ModeResult Base { get; init; }

    /// <summary>Each adapter, by name.</summary>
    public required SortedDictionary<string, AdapterResult> Adapters { get; init; }

    /// <summary>A few questions with what each mode made of them.</summary>
    public required IReadOnlyList<ExampleTrace> Traces { get; init; }

    /// <summary>Writes the results.</summary>
    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, EvaluationJson.Default.EvaluationResults));

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static EvaluationResults Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), EvaluationJson.Default.EvaluationResults) ?? throw new JsonException($"{path} is empty.");
}

/// <summary>One adapter, measured twice.</summary>
/// <param name="Sft">In Torch at full precision: trained LoRA on the dequantized base.</param>
/// <param name="Deployed">As shipped: quantized base and INT8 LoRA in ONNX Runtime.</param>
/// <param name="SameAnswers">Share of questions on which the two are both right or both wrong, 0 to 1.</param>
public sealed record AdapterResult(ModeResult Sft, ModeResult Deployed, double SameAnswers);

/// <summary>One mode on all questions.</summary>
/// <param name="Accuracy">Share of right answers, 0 to 1.</param>
/// <param name="MeanTokens">Mean generated tokens, reasoning and answer.</param>
/// <param name="MedianTokens">Median generated tokens.</param>
/// <param name="Examples">Questions.</param>
/// <param name="Low">Lower end of the 95% Wilson interval of the accuracy.</param>
/// <param name="High">Upper end.</param>
/// <param name="Unfinished">Share of answers that hit the token limit, 0 to 1.</param>
public sealed record ModeResult(double Accuracy, double MeanTokens, double MedianTokens, int Examples, double Low, double High, double Unfinished)
{
    /// <summary>Sums up the answers of one mode.</summary>
    public static ModeResult Of(IReadOnlyCollection<ScoredAnswer> answers)
    {
        ArgumentNullException.ThrowIfNull(answers);
        int right = answers.Count(a => a.Right);
        int[] tokens = [.. answers.Select(a => a.Tokens).Order()];
        double median = tokens.Length == 0 ? 0 : (tokens[(tokens.Length - 1) / 2] + tokens[tokens.Length / 2]) / 2.0;
        (double low, double high) = Wilson(right, answers.Count);
        return new ModeResult(
            Round(answers.Count == 0 ? 0 : (double)right / answers.Count),
            Round(tokens.Length == 0 ? 0 : tokens.Average()),
            median,
            answers.Count,
            Round(low),
            Round(high),
            Round(answers.Count == 0 ? 0 : answers.Count(a => !a.Finished) / (double)answers.Count));
    }

    /// <summary>The 95% Wilson score interval of a share (E. B. Wilson, 1927): unlike the normal one it holds near 0 and 1.</summary>
    internal static (double Low, double High) Wilson(int right, int count)
    {
        if (count == 0)
        {
            return (0, 1);
        }

        const double z = 1.959963984540054;
        double share = (double)right / count;
        double denominator = 1 + (z * z / count);
        double centre = (share + (z * z / (2 * count))) / denominator;
        double half = z / denominator * Math.Sqrt((share * (1 - share) / count) + (z * z / (4.0 * count * count)));
        return (Math.Max(0, centre - half), Math.Min(1, centre + half));
    }

    private static double Round(double value) => Math.Round(value, 5);
}

/// <summary>One answer with its score.</summary>
/// <param name="Text">The answer.</param>
/// <param name="Reasoning">The reasoning block; null when there was none.</param>
/// <param name="Tokens">Generated tokens.</param>
/// <param name="Right">Whether it means the expected answer.</param>
/// <param name="Finished">Whether the model ended its turn before the token limit.</param>
public sealed record ScoredAnswer(string Text, string? Reasoning, int Tokens, bool Right, bool Finished);

/// <summary>A question with the answer of each mode.</summary>
/// <param name="Question">The last user message.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Answers">By mode name; as deployed.</param>
public sealed record ExampleTrace(string Question, string Expected, SortedDictionary<string, ScoredAnswer> Answers);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, NewLine = "\n")]
[JsonSerializable(typeof(EvaluationResults))]
internal sealed partial class EvaluationJson : JsonSerializerContext;
