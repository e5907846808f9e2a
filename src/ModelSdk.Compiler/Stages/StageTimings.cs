using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// What a stage measured of its own speed: timings.json in its entry, apart from the files that are the same on every run. Seconds by part
/// (<c>switcher</c>, <c>streams</c>, ...); rates in tokens per second under names that say so.
/// </summary>
internal sealed class StageTimings
{
    public const string FileName = "timings.json";

    /// <summary>Values by name, in the order in which they were added.</summary>
    public Dictionary<string, double> Values { get; init; } = new(StringComparer.Ordinal);

    /// <summary>Adds the seconds that a part takes until the returned value is disposed.</summary>
    public IDisposable Time(string part) => new Part(this, part);

    public void Write(string path) => File.WriteAllBytes(path, JsonSerializer.SerializeToUtf8Bytes(this, StageTimingsJson.Default.StageTimings));

    public static StageTimings Read(string path) =>
        JsonSerializer.Deserialize(File.ReadAllBytes(path), StageTimingsJson.Default.StageTimings) ?? throw new JsonException($"{path} is empty.");

    private sealed class Part(StageTimings timings, string name) : IDisposable
    {
        private readonly long _started = Stopwatch.GetTimestamp();

        public void Dispose() => timings.Values[name] = Math.Round(timings.Values.GetValueOrDefault(name) + Stopwatch.GetElapsedTime(_started).TotalSeconds, 3);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StageTimings))]
internal sealed partial class StageTimingsJson : JsonSerializerContext;
