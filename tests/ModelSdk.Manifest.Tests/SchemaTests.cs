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
        (PropertyNames.BudgetForcing, "properties/adapters/additionalProperties/properties/budget"),
        (PropertyNames.Verifier, "properties/adapters/additionalProperties/properties/verifier"),
        (PropertyNames.Switcher, "properties/switcher"),
        (PropertyNames.Budget, "properties/budgets/additionalProperties/oneOf/1"),
        (PropertyNames.Answer, "properties/answer/oneOf/1"),
        (PropertyNames.Grader, "properties/grader"),
        (PropertyNames.Evaluation, "properties/evaluation"),
        (PropertyNames.Gates, "properties/evaluation/properties/gates"),
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
        ModelManifest root = Samples.Parse(
            """
            { "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [9] }, "verifier": {} } }, "switcher": { "train": "s" }, "budgets": { "b": { "tokens": 1 } },
              "context": 1024, "grader": { "command": ["g"] }, "evaluation": { "data": "d" }, "targets": [ { "rid": "x" } ] }
            """);
        AdapterSettings adapter = root.Adapters[0];
        BudgetForcingSettings forcing = adapter.Budget!;
        VerifierSettings verifier = adapter.Verifier!;
        SwitcherSettings switcher = root.Switcher!;
        EvaluationSettings evaluation = root.Evaluation!;
        var expected = new Dictionary<string, object?>
        {
            ["/context"] = new ModelManifest().Context,
            ["/seed"] = root.Seed,
            ["/genai"] = root.Genai,
            ["/answer"] = "text",
            ["/answerTokens"] = root.AnswerTokens,
            ["prompt/system"] = root.Prompt.System,
            ["prompt/budget"] = root.Prompt.Budget,
            ["prompt/thinkOpen"] = root.Prompt.ThinkOpen,
            ["prompt/thinkClose"] = root.Prompt.ThinkClose,
            ["prompt/forceAnswer"] = root.Prompt.ForceAnswer,
            ["quantization/weights"] = root.Quantization.Weights.ToString().ToLowerInvariant(),
            ["quantization/block"] = root.Quantization.Block,
            ["quantization/embeddings"] = root.Quantization.Embeddings.ToString().ToLowerInvariant(),
            ["quantization/keyValueCache"] = root.Quantization.KeyValueCache.ToString().ToLowerInvariant(),
            ["quantization/quality"] = root.Quantization.Quality.ToString().ToLowerInvariant(),
            ["adapters/rank"] = adapter.Rank,
            ["adapters/alpha"] = adapter.Alpha,
            ["adapters/dropout"] = adapter.Dropout,
            ["adapters/targets"] = adapter.Targets.ToArray(),
            ["adapters/masked"] = adapter.Masked,
            ["sft/epochs"] = adapter.Sft.Epochs,
            ["sft/batchSize"] = adapter.Sft.BatchSize,
            ["sft/learningRate"] = adapter.Sft.LearningRate,
            ["sft/warmup"] = adapter.Sft.Warmup,
            ["sft/weightDecay"] = adapter.Sft.WeightDecay,
            ["sft/maxGradNorm"] = adapter.Sft.MaxGradNorm,
            ["sft/checkpointEverySteps"] = adapter.Sft.CheckpointEverySteps,
            ["budget/steps"] = forcing.Steps,
            ["budget/prompts"] = forcing.Prompts,
            ["budget/samples"] = forcing.Samples,
            ["budget/temperature"] = forcing.Temperature,
            ["budget/learningRate"] = forcing.LearningRate,
            ["budget/warmup"] = forcing.Warmup,
            ["budget/maxGradNorm"] = forcing.MaxGradNorm,
            ["budget/weightDecay"] = forcing.WeightDecay,
            ["budget/statedShare"] = forcing.StatedShare,
            ["budget/margin"] = forcing.Margin,
            ["budget/floor"] = forcing.Floor,
            ["budget/length"] = forcing.Length.ToString().ToLowerInvariant(),
            ["budget/kl"] = forcing.Kl,
            ["budget/klReference"] = forcing.KlReference.ToString().ToLowerInvariant(),
            ["budget/clip"] = forcing.Clip,
            ["budget/clipHigh"] = forcing.ClipHigh,
            ["budget/advantage"] = forcing.Advantage.ToString().ToLowerInvariant(),
            ["budget/resample"] = forcing.Resample,
            ["budget/tighten"] = forcing.Tighten,
            ["budget/truncated"] = forcing.Truncated.ToString().ToLowerInvariant(),
            ["budget/maxTokens"] = forcing.MaxTokens,
            ["budget/checkpointEverySteps"] = forcing.CheckpointEverySteps,
            ["verifier/questions"] = verifier.Questions,
            ["verifier/samples"] = verifier.Samples,
            ["verifier/temperature"] = verifier.Temperature,
            ["verifier/holdout"] = verifier.Holdout,
            ["verifier/prompt"] = verifier.Prompt,
            ["verifier/lora"] = verifier.Lora,
            ["verifier/confidence"] = verifier.Confidence,
            ["verifier/steps"] = verifier.Steps,
            ["verifier/batchSize"] = verifier.BatchSize,
            ["verifier/learningRate"] = verifier.LearningRate,
            ["switcher/hidden"] = switcher.Hidden,
            ["switcher/dropout"] = switcher.Dropout,
            ["switcher/noise"] = switcher.Noise,
            ["switcher/chunk"] = switcher.Chunk,
            ["switcher/smoothing"] = switcher.Smoothing,
            ["switcher/steps"] = switcher.Steps,
            ["switcher/batchSize"] = switcher.BatchSize,
            ["switcher/learningRate"] = switcher.LearningRate,
            ["switcher/weightDecay"] = switcher.WeightDecay,
            ["switcher/threshold"] = switcher.Threshold,
            ["budgets/streams"] = root.Budgets[0].Streams,
            ["answer/tolerance"] = root.Answer.Tolerance,
            ["grader/timeoutSeconds"] = root.Grader!.TimeoutSeconds,
            ["evaluation/maxExamples"] = evaluation.MaxExamples,
            ["evaluation/maxTokens"] = evaluation.MaxTokens,
            ["evaluation/budget"] = evaluation.Budget,
            ["evaluation/temperature"] = evaluation.Temperature,
            ["evaluation/seeds"] = evaluation.Seeds,
            ["evaluation/hardBudgets"] = evaluation.HardBudgets.ToArray(),
            ["evaluation/streams"] = evaluation.Streams.ToArray(),
            ["evaluation/streamTemperature"] = evaluation.StreamTemperature,
            ["gates/minAccuracy"] = evaluation.Gates.MinAccuracy,
            ["gates/maxMeanTokens"] = evaluation.Gates.MaxMeanTokens,
            ["gates/minLengthReduction"] = evaluation.Gates.MinLengthReduction,
            ["gates/minWithinBudget"] = evaluation.Gates.MinWithinBudget,
            ["gates/minSwitcherAuc"] = evaluation.Gates.MinSwitcherAuc,
            ["gates/minVerifierAuc"] = evaluation.Gates.MinVerifierAuc,
            ["targets/memoryMB"] = root.Targets[0].MemoryMB,
            ["targets/diskMB"] = root.Targets[0].DiskMB,
        };
        var published = Objects
            .SelectMany(o => At(o.Pointer)["properties"]!.AsObject().Select(p => (Key: Name(o.Pointer) + "/" + p.Key, p.Value)))
            .Where(p => p.Value!.AsObject().ContainsKey("default"))
            .ToDictionary(p => p.Key, p => p.Value!["default"]);

        Assert.Equal(expected.Keys.Order(), published.Keys.Order());
        Assert.All(expected, e => Assert.Equal(JsonSerializer.Serialize(e.Value), published[e.Key]?.ToJsonString(Plain) is { } json ? Normalize(json) : "null"));
        Assert.Equal(AnswerType.Text, root.Answer.Type);

        // The property that an object belongs to: the last part of its pointer that is no keyword of schemas.
        static string Name(string pointer) => pointer.Split('/').LastOrDefault(part => part is not ("properties" or "additionalProperties" or "items" or "oneOf" or "1"), "");
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
    [InlineData("""{ "base": "b", "adapters": { "a": { "rank": 8 } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "import": "p" } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "import": "p", "rank": 8 } } }""")]
    [InlineData("""{ "base": "b", "prompt": { "budget": "short" } }""")]
    [InlineData("""{ "base": "b", "answer": { "type": "integer", "tolerance": 0.1 } }""")]
    [InlineData("""{ "base": "b", "grader": { "command": [] } }""")]
    [InlineData("""{ "base": "b", "switcher": { } }""")]
    [InlineData("""{ "base": "b", "budgets": { "a": { "tokens": 1, "streams": 65 } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64, 64] } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "samples": 1 } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "budget": { "budgets": [64], "floor": 1 } } } }""")]
    [InlineData("""{ "base": "b", "adapters": { "a": { "train": "t", "verifier": { "holdout": 0 } } } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "streams": [0] } }""")]
    [InlineData("""{ "base": "b", "quantization": { "weights": "int4", "bitsPerWeight": 4 } }""")]
    [InlineData("""{ "base": "b", "quantization": { "bitsPerWeight": 1 } }""")]
    [InlineData("""{ "base": "b", "evaluation": { "data": "d", "gates": { "minAccuracy": 1.1 } } }""")]
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
            "[8,8]", "[64,128]", "[0.5]", "[]", "\"mask\"", "\"auto\"", "\"base\"", "{\"budgets\":[8]}", "{\"command\":[\"g\"]}", "{\"minAccuracy\":0.5}", "{\"tokens\":5,\"streams\":4}",
            "{\"type\":\"number\",\"tolerance\":0.1}", "{\"type\":\"text\",\"tolerance\":0.1}", "64", "65", "1e-9", "-0.0", "1e309",
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
            iter: 4_000);
        Assert.Equal(4_000, compared);
    }

    private static readonly JsonDocumentOptions Lax = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private static readonly JsonSerializerOptions Plain = new();

    private static bool IsValid(string text) => SchemaValidator.IsValid(JsonNode.Parse(text, documentOptions: Lax), Schema);

    /// <summary>One form of each value: 2e-5 and 0.00002 are the same.</summary>
    private static string Normalize(string json) =>
        JsonSerializer.Deserialize<JsonElement>(json) is { ValueKind: JsonValueKind.Number } number ? JsonSerializer.Serialize(number.GetDouble()) : JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(json));

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
