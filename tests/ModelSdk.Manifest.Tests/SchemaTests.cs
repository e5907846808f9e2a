using System.Text.Json;
using System.Text.Json.Nodes;

using CsCheck;

using ModelSdk.Manifest.Binding;
using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

/// <summary>The published schema and the parser say the same about properties, defaults and values.</summary>
public class SchemaTests
{
    private static readonly JsonObject Schema = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "model.schema.json")))!.AsObject();

    /// <summary>Objects of the manifest, and where the schema describes them.</summary>
    private static readonly (string[] Names, string Pointer)[] Objects =
    [
        (PropertyNames.Root, ""),
        (PropertyNames.Base, "properties/base/oneOf/1"),
        (PropertyNames.Prompt, "properties/prompt"),
        (PropertyNames.Quantization, "properties/quantization"),
        (PropertyNames.Adapter, "properties/adapters/additionalProperties"),
        (PropertyNames.Sft, "properties/adapters/additionalProperties/properties/sft"),
        (PropertyNames.Budget, "properties/budgets/additionalProperties/oneOf/1"),
        (PropertyNames.Answer, "properties/answer/oneOf/1"),
        (PropertyNames.Evaluation, "properties/evaluation"),
        (PropertyNames.Target, "properties/targets/items"),
    ];

    [Fact]
    public void Schema_and_parser_have_the_same_properties_in_the_same_order() =>
        Assert.All(Objects, o =>
        {
            Assert.Equal(o.Names, At(o.Pointer)["properties"]!.AsObject().Select(p => p.Key));
            Assert.False((bool)At(o.Pointer)["additionalProperties"]!);
        });

    [Fact]
    public void Every_property_of_the_schema_is_described() =>
        Assert.All(Objects.SelectMany(o => At(o.Pointer)["properties"]!.AsObject()), p => Assert.NotEmpty((string)p.Value!["description"]!));

    [Fact]
    public void Every_object_of_the_schema_is_one_of_the_parsers() =>
        Assert.Equal(Objects.Length, CountObjects(Schema));

    [Fact]
    public void Defaults_of_the_schema_are_those_of_the_parser()
    {
        ModelManifest root = Samples.Parse("""{ "base": "b", "adapters": { "a": { "train": "t" } }, "evaluation": { "data": "d" }, "targets": [ { "rid": "x" } ] }""");
        AdapterSettings adapter = root.Adapters[0];
        var expected = new Dictionary<string, object?>
        {
            ["context"] = root.Context,
            ["seed"] = root.Seed,
            ["answer"] = "text",
            ["answerTokens"] = root.AnswerTokens,
            ["system"] = root.Prompt.System,
            ["budget"] = root.Prompt.Budget,
            ["thinkOpen"] = root.Prompt.ThinkOpen,
            ["thinkClose"] = root.Prompt.ThinkClose,
            ["forceAnswer"] = root.Prompt.ForceAnswer,
            ["weights"] = root.Quantization.Weights.ToString().ToLowerInvariant(),
            ["block"] = root.Quantization.Block,
            ["embeddings"] = root.Quantization.Embeddings.ToString().ToLowerInvariant(),
            ["rank"] = adapter.Rank,
            ["alpha"] = adapter.Alpha,
            ["dropout"] = adapter.Dropout,
            ["targets"] = adapter.Targets.ToArray(),
            ["masked"] = adapter.Masked,
            ["epochs"] = adapter.Sft.Epochs,
            ["batchSize"] = adapter.Sft.BatchSize,
            ["learningRate"] = adapter.Sft.LearningRate,
            ["warmup"] = adapter.Sft.Warmup,
            ["weightDecay"] = adapter.Sft.WeightDecay,
            ["maxGradNorm"] = adapter.Sft.MaxGradNorm,
            ["checkpointEverySteps"] = adapter.Sft.CheckpointEverySteps,
            ["maxExamples"] = root.Evaluation!.MaxExamples,
            ["maxTokens"] = root.Evaluation.MaxTokens,
            ["memoryMB"] = root.Targets[0].MemoryMB,
            ["diskMB"] = root.Targets[0].DiskMB,
        };
        var published = Objects
            .SelectMany(o => At(o.Pointer)["properties"]!.AsObject())
            .Where(p => p.Value!.AsObject().ContainsKey("default"))
            .ToDictionary(p => p.Key, p => p.Value!["default"]);

        Assert.Equal(expected.Keys.Order(), published.Keys.Order());
        Assert.All(expected, e => Assert.Equal(JsonSerializer.Serialize(e.Value), published[e.Key]?.ToJsonString(Plain) is { } json ? Normalize(json) : "null"));
        Assert.Equal(AnswerType.Text, root.Answer.Type);
    }

    [Fact]
    public void Manifests_that_are_right_are_right_by_the_schema() =>
        Assert.All(Samples.All, text => Assert.True(IsValid(text), text));

    [Fact]
    public void The_samples_manifests_are_right()
    {
        string[] files = Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "samples"), "*.model.json", SearchOption.AllDirectories);

        Assert.NotEmpty(files);
        Assert.All(files, file =>
        {
            Samples.Parse(File.ReadAllText(file), file);
            Assert.True(IsValid(File.ReadAllText(file)), file);
        });
    }

    [Theory]
    [InlineData("""{ }""")]
    [InlineData("""{ "base": "b", "sed": 1 }""")]
    [InlineData("""{ "base": "b", "seed": -1 }""")]
    [InlineData("""{ "base": "b", "answer": "choice" }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "choice" } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "integer", "choices": ["a", "b"] } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "sft": { "steps": 1, "epochs": 1 } } } }""")]
    [InlineData("""{ "base": "b", "prompt": { "budget": "short" } }""")]
    public void Manifests_that_are_wrong_are_wrong_by_the_schema(string text)
    {
        Assert.False(IsValid(text));
        Assert.Null(ManifestParser.Parse(text, "x.model.json").Manifest);
    }

    /// <summary>Replaces one value of a good manifest by one of many others, and compares what both say.</summary>
    [Fact]
    public void The_parser_accepts_nothing_that_the_schema_refuses_and_refuses_no_value_that_it_accepts()
    {
        string[] structural = ["MDL1005", "MDL1006", "MDL1007", "MDL1008", "MDL1016"];
        string[] values =
        [
            "null", "true", "0", "1", "-1", "2.0", "2.5", "32", "48", "1e3", "1e10", "2147483647", "2147483648", "1048576", "1048577", "0.5", "\"\"", "\"x\"", "\"int4\"", "\"none\"",
            "\"text\"", "\"{budget}\"", "[]", "[1]", "[\"a\",\"b\"]", "[\"q_proj\"]", "{}", "{\"tokens\":5}", "{\"x\":1}", "{\"train\":\"t\"}", "{\"data\":\"d\"}", "{\"type\":\"number\"}",
        ];
        string[] manifests = [.. Samples.All.Select(text => JsonNode.Parse(text, documentOptions: Lax)!.ToJsonString())];
        int compared = 0;
        Gen.Select(Gen.Int[0, manifests.Length - 1], Gen.Int[0, 999], Gen.Int[0, values.Length - 1]).Sample(
            (manifest, at, value) =>
            {
                JsonNode root = JsonNode.Parse(manifests[manifest])!;
                var places = Places(root).ToList();
                (JsonNode parent, string key) = places[at % places.Count];
                JsonNode? replacement = JsonNode.Parse(values[value]);
                if (parent is JsonObject o) o[key] = replacement;
                else parent.AsArray()[int.Parse(key, System.Globalization.CultureInfo.InvariantCulture)] = replacement;
                string text = root.ToJsonString();

                ManifestResult result = ManifestParser.Parse(text, "/app/tutor.model.json");
                bool valid = IsValid(text);
                if (!valid) Assert.True(result.Manifest is null, "accepted, but not by the schema: " + text);
                else Assert.DoesNotContain(result.Diagnostics, d => structural.Contains(d.Code));
                Interlocked.Increment(ref compared);
            },
            iter: 2_000);
        Assert.Equal(2_000, compared);
    }

    private static readonly JsonDocumentOptions Lax = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private static readonly JsonSerializerOptions Plain = new();

    private static bool IsValid(string text) => SchemaValidator.IsValid(JsonNode.Parse(text, documentOptions: Lax), Schema);

    private static string Normalize(string json) => JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(json));

    private static JsonNode At(string pointer) =>
        pointer.Split('/', StringSplitOptions.RemoveEmptyEntries).Aggregate((JsonNode)Schema, (node, part) => node is JsonArray array ? array[int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)]! : node[part]!);

    /// <summary>Objects with fixed properties anywhere in the schema.</summary>
    private static int CountObjects(JsonNode? node) => node switch
    {
        JsonObject o => (o["additionalProperties"] is JsonValue ? 1 : 0) + o.Sum(p => CountObjects(p.Value)),
        JsonArray a => a.Sum(CountObjects),
        _ => 0,
    };

    private static IEnumerable<(JsonNode Parent, string Key)> Places(JsonNode node)
    {
        IEnumerable<(string Key, JsonNode? Value)> children = node switch
        {
            JsonObject o => o.Select(p => (p.Key, p.Value)),
            JsonArray a => a.Select((v, i) => (i.ToString(System.Globalization.CultureInfo.InvariantCulture), v)),
            _ => [],
        };
        foreach ((string key, JsonNode? value) in children)
        {
            yield return (node, key);
            if (value is null) continue;
            foreach ((JsonNode, string) inner in Places(value)) yield return inner;
        }
    }
}
