using System.Text.Json;
using System.Text.Json.Nodes;

using CsCheck;

using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

/// <summary>Settings of any value in their ranges, written as JSON by other code than the parser's, are read as they were.</summary>
public class RoundTripTests
{
    private static readonly Gen<double> Share = Gen.OneOf(Gen.Const(0.0), Gen.Const(1.0), Gen.Double[0, 1], Gen.Const(1e-12));

    private static readonly Gen<double> BelowOne = Gen.OneOf(Gen.Const(0.0), Gen.Double[0, 0.999]);

    private static readonly Gen<double> Above = Gen.OneOf(Gen.Const(1e-300), Gen.Const(1.0), Gen.Double[1e-6, 1]);

    private static readonly Gen<double> Heat = Gen.OneOf(Gen.Const(10.0), Gen.Double[0.01, 10]);

    private static readonly Gen<int> Steps = Gen.OneOf(Gen.Const(1), Gen.Const(100_000_000), Gen.Int[1, 1000]);

    private static readonly Gen<string?> File = OneOf<string?>(null, "a.jsonl", "../data/ä 数.jsonl", "x\"y\\z.jsonl", "😀/b.jsonl");

    private static readonly Gen<EquatableArray<int>> Numbers = Gen.Int[1, 500].Array[1, 6].Select(n => new EquatableArray<int>(n.Distinct()));

    private static readonly Gen<BudgetForcingSettings> Forcing = Gen.Select(
        Gen.Select(File, Steps, Gen.Int[1, 65536], Gen.Int[2, 1024], Heat, Above, Share, Numbers),
        Gen.Select(Share, Share, BelowOne, Gen.Enum<CountedLength>(), Gen.Double[0, 1000], Gen.Enum<KlReference>(), Above, Gen.OneOf(Gen.Const((double?)null), Heat.Select(h => (double?)h))),
        Gen.Select(Gen.Enum<AdvantageScale>(), Gen.Bool, Above, Gen.Enum<TruncatedCompletions>(), Gen.Int[500, 4000], Steps, Gen.Double[1e-6, 1_000_000], Share),
        (a, b, c) => new BudgetForcingSettings
        {
            Data = a.Item1,
            Steps = a.Item2,
            Prompts = a.Item3,
            Samples = a.Item4,
            Temperature = a.Item5,
            LearningRate = a.Item6,
            Warmup = a.Item7,
            Budgets = a.Item8,
            StatedShare = b.Item1,
            Margin = b.Item2,
            Floor = b.Item3,
            Length = b.Item4,
            Kl = b.Item5,
            KlReference = b.Item6,
            Clip = b.Item7,
            ClipHigh = b.Item8,
            Advantage = c.Item1,
            Resample = c.Item2,
            Tighten = c.Item3,
            Truncated = c.Item4,
            MaxTokens = c.Item5,
            CheckpointEverySteps = c.Item6,
            MaxGradNorm = c.Item7,
            WeightDecay = c.Item8,
        });

    private static readonly Gen<VerifierSettings> Verifier = Gen.Select(
        Gen.Select(File, Gen.Int[2, int.MaxValue], Gen.Int[1, 1024], Heat, Gen.Double[1e-6, 0.999]),
        Gen.Select(OneOf(VerifierSettings.DefaultPrompt, "?", "\u0007\n\"数\"😀"), Gen.Bool, Gen.Bool, Steps, Gen.Int[1, 65536], Above),
        (a, b) => new VerifierSettings
        {
            Data = a.Item1,
            Questions = a.Item2,
            Samples = a.Item3,
            Temperature = a.Item4,
            Holdout = a.Item5,
            Prompt = b.Item1,
            Lora = b.Item2,
            Confidence = b.Item3,
            Steps = b.Item4,
            BatchSize = b.Item5,
            LearningRate = b.Item6,
        });

    private static readonly Gen<SwitcherSettings> Switcher = Gen.Select(
        Gen.Select(File.Where(f => f is not null), Gen.Int[1, 4096], BelowOne, Gen.Double[0, 100], Gen.Int[1, 1 << 20], Above),
        Gen.Select(Steps, Gen.Int[1, 65536], Above, Share, Share),
        (a, b) => new SwitcherSettings
        {
            Train = a.Item1!,
            Hidden = a.Item2,
            Dropout = a.Item3,
            Noise = a.Item4,
            Chunk = a.Item5,
            Smoothing = a.Item6,
            Steps = b.Item1,
            BatchSize = b.Item2,
            LearningRate = b.Item3,
            WeightDecay = b.Item4,
            Threshold = b.Item5,
        });

    private static readonly Gen<double?> Gate = Gen.OneOf(Gen.Const((double?)null), Share.Select(s => (double?)s));

    private static readonly Gen<EvaluationSettings> Evaluation = Gen.Select(
        Gen.Select(File.Where(f => f is not null), Gen.Int[1, 4000], Gen.OneOf(Gen.Const((int?)null), Gen.Int[1, 4000].Select(b => (int?)b)), Heat, Gen.Int[1, 100]),
        Gen.Select(Numbers, Gen.Int[1, 64].Array[1, 8].Select(s => new EquatableArray<int>(s.Distinct())), File, Heat, File),
        Gen.Select(Gate, Above, Above, Gate, Gate, Gate),
        (a, b, g) => new EvaluationSettings
        {
            Data = a.Item1!,
            MaxTokens = a.Item2,
            Budget = a.Item3,
            Temperature = a.Item4,
            Seeds = a.Item5,
            HardBudgets = b.Item1,
            Streams = b.Item2,
            StreamData = b.Item3,
            StreamTemperature = b.Item4,
            SwitcherData = b.Item5,
            Gates = new GateSettings
            {
                MinAccuracy = g.Item1,
                MaxMeanTokens = g.Item2,
                MinLengthReduction = g.Item3,
                MinWithinBudget = g.Item4,
                MinSwitcherAuc = b.Item5 is null ? null : g.Item5,
                MinVerifierAuc = g.Item6,
            },
        });

    [Fact]
    public void What_is_written_is_read() =>
        Gen.Select(Forcing, Verifier, Switcher, Evaluation, Gen.Int[1, 64], Gen.Double[0, 1], Gen.Int[1, 86_400]).Sample(
            (forcing, verifier, switcher, evaluation, streams, tolerance, timeout) =>
            {
                string text = new JsonObject
                {
                    ["base"] = "b",
                    ["adapters"] = new JsonObject { ["a"] = new JsonObject { ["train"] = "t", ["budget"] = Json(forcing), ["verifier"] = Json(verifier) } },
                    ["switcher"] = Json(switcher),
                    ["default"] = "auto",
                    ["budgets"] = new JsonObject { ["x"] = new JsonObject { ["tokens"] = 5, ["streams"] = streams } },
                    ["answer"] = new JsonObject { ["type"] = "number", ["tolerance"] = tolerance },
                    ["grader"] = new JsonObject { ["command"] = new JsonArray("g", "-x y"), ["timeoutSeconds"] = timeout },
                    ["evaluation"] = Json(evaluation),
                }.ToJsonString();

                ModelManifest manifest = Samples.Parse(text);

                Assert.Equal(forcing, manifest.Adapters[0].Budget);
                Assert.Equal(verifier, manifest.Adapters[0].Verifier);
                Assert.Equal(switcher, manifest.Switcher);
                Assert.Equal(evaluation, manifest.Evaluation);
                Assert.Equal(streams, manifest.Budgets[0].Streams);
                Assert.Equal(tolerance, manifest.Answer.Tolerance);
                Assert.Equal(timeout, manifest.Grader!.TimeoutSeconds);
                Assert.Equal(manifest, Samples.Parse(text));
                Assert.Equal(manifest.GetHashCode(), Samples.Parse(text).GetHashCode());
            },
            iter: 300);

    /// <summary>Every setting takes part in equality: stage keys and incremental builds rely on it.</summary>
    [Fact]
    public void A_change_of_any_setting_changes_the_manifest()
    {
        JsonNode full = JsonNode.Parse(Samples.Full, documentOptions: new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true })!;
        ModelManifest before = Samples.Parse(full.ToJsonString());
        string[] unread = ["$schema", "answerTokens"];
        int changed = 0;
        foreach ((JsonObject parent, string name) in Objects(full).SelectMany(o => o.Select(p => (o, p.Key))).Where(p => !unread.Contains(p.Key)).ToList())
        {
            JsonNode kept = parent[name]!.DeepClone();
            if (Other(kept) is not { } other) continue;
            parent[name] = other;
            if (ManifestParser.Parse(full.ToJsonString(), "/app/tutor.model.json").Manifest is { } after)
            {
                Assert.True(before != after, $"'{name}' = {other.ToJsonString()} gives an equal manifest");
                changed++;
            }

            parent[name] = kept;
        }

        Assert.True(changed > 75, $"only {changed} settings could be changed");
        Assert.Equal(before, Samples.Parse(full.ToJsonString()));
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static JsonNode? Other(JsonNode value) => value.GetValueKind() switch
    {
        JsonValueKind.Number => (double)value is var number && number % 1 == 0 ? (number < 100 ? number + 1 : number - 1) : number * 0.75,
        JsonValueKind.True or JsonValueKind.False => !(bool)value,
        JsonValueKind.String => (string)value! switch
        {
            "think" => "total",
            "base" => "sft",
            "batch" => "group",
            "mask" => "zero",
            "auto" => "arithmetic",
            "int8" => "none",
            "int4" => "int8",
            "best" => "balanced",
            var text => text + "x",
        },
        JsonValueKind.Array when value.AsArray() is { Count: > 1 } items && items[0] is JsonValue => new JsonArray([.. items.Skip(1).Select(i => i!.DeepClone())]),
        _ => null,
    };

    private static IEnumerable<JsonObject> Objects(JsonNode? node) => node switch
    {
        JsonObject o => [o, .. o.SelectMany(p => Objects(p.Value))],
        JsonArray a => a.SelectMany(Objects),
        _ => [],
    };

    /// <summary>A record as JSON: names in camel case, enums in small letters, paths that are null left out.</summary>
    private static JsonObject Json(object settings)
    {
        var json = new JsonObject();
        foreach (System.Reflection.PropertyInfo property in settings.GetType().GetProperties().Where(p => p.CanWrite))
        {
            string name = JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            switch (property.GetValue(settings))
            {
                case null when property.PropertyType == typeof(string):
                    break;
                case null:
                    json[name] = null;
                    break;
                case Enum value:
#pragma warning disable CA1308 // The manifest writes them in small letters.
                    json[name] = value.ToString().ToLowerInvariant();
#pragma warning restore CA1308
                    break;
                case EquatableArray<int> numbers:
                    json[name] = new JsonArray([.. numbers.Select(n => JsonValue.Create(n))]);
                    break;
                case GateSettings gates:
                    json[name] = Json(gates);
                    break;
                case { } value:
                    json[name] = JsonSerializer.SerializeToNode(value);
                    break;
            }
        }

        return json;
    }
}
