using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Stages;

/// <summary>How a training went: training.json in the entry of its stage.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Examples">Lines of training data.</param>
/// <param name="Loss">Mean loss a token of each step.</param>
internal sealed record TrainingSummary(int Steps, int Examples, IReadOnlyList<double> Loss)
{
    public const string FileName = "training.json";

    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, TrainingSummaryJson.Default.TrainingSummary));

    public static TrainingSummary Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), TrainingSummaryJson.Default.TrainingSummary) ?? throw new JsonException($"{path} is empty.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(TrainingSummary))]
internal sealed partial class TrainingSummaryJson : JsonSerializerContext;
