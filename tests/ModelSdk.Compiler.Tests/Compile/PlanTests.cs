using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>What changes which key. Nothing is compiled here.</summary>
public sealed class PlanTests : IDisposable
{
    private readonly TinyWorld _world = new();

    public void Dispose() => _world.Dispose();

    public static TheoryData<string, string, string[]> Changes => new()
    {
        { "budget renamed", """{"budgets":{"brief":16}}""", [StageNames.Bundle] },
        { "budget added", """{"budgets":{"short":16,"long":64}}""", [StageNames.Bundle] },
        { "model renamed", """{"name":"Other"}""", [StageNames.Bundle] },
        { "default mode", """{"default":"base"}""", [StageNames.Bundle] },
        { "forced answer", """{"answerTokens":8}""", [StageNames.Bundle] },
        { "budget text", """{"prompt":{"budget":"Max {budget}."}}""", [StageNames.Bundle] },
        { "answer type", """{"answer":"number"}""", [StageNames.Resolve, StageNames.Evaluate, StageNames.Bundle] },
        { "evaluation length", """{"evaluation":{"data":"test.jsonl","maxTokens":13}}""", [StageNames.Resolve, StageNames.Evaluate, StageNames.Bundle] },
        { "no evaluation", """{"evaluation":null}""", [StageNames.Resolve, StageNames.Bundle] },
        { "training steps", """{"adapters":{"sums":{"sft":{"steps":7}}}}""", [StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "rank", """{"adapters":{"sums":{"rank":8}}}""", [StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "checkpoints", """{"adapters":{"sums":{"sft":{"checkpointEverySteps":3}}}}""", [] },
        { "seed", """{"seed":2}""", [StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "system text", """{"prompt":{"system":"Be brief."}}""", [StageNames.Resolve, StageNames.Sft, StageNames.Evaluate, StageNames.Export, StageNames.Bundle] },
        { "quality", """{"quantization":{"quality":"best"}}""", [StageNames.Quantize, StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "block", """{"quantization":{"weights":"int8"}}""", [StageNames.Quantize, StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_setting_changes_the_keys_of_the_stages_that_read_it(string what, string patch, string[] expected)
    {
        Assert.NotEmpty(what);
        CompilePlan before = Plan();
        Merge(_world.Manifest, JsonNode.Parse(patch)!.AsObject());
        _world.Save();
        Assert.Equal(expected.Order(StringComparer.Ordinal), Changed(before, Plan()));
    }

    [Fact]
    public void Training_data_change_the_quantized_base_only_where_it_is_calibrated_on_them()
    {
        CompilePlan fast = Plan();
        _world.WriteData("train.jsonl", 0, 39, withTrace: true);
        Assert.Equal(fast.Quantize.Key, Plan().Quantize.Key);
        _world.Manifest["quantization"]!["quality"] = "balanced";
        _world.Save();
        CompilePlan balanced = Plan();
        _world.WriteData("train.jsonl", 0, 38, withTrace: true);
        Assert.NotEqual(balanced.Quantize.Key, Plan().Quantize.Key);
    }

    public static TheoryData<string, string, string[]> ChangesOfEveryStage => new()
    {
        { "budget renamed", """{"budgets":{"brief":10,"vote":{"tokens":12,"streams":4}}}""", [StageNames.Bundle] },
        { "streams of a budget", """{"budgets":{"short":10,"vote":{"tokens":12,"streams":8}}}""", [StageNames.Bundle] },
        { "threshold", """{"switcher":{"threshold":0.3}}""", [StageNames.Bundle] },
        { "gates", """{"evaluation":{"gates":{"minAccuracy":0.9}}}""", [] },
        { "RL steps", """{"adapters":{"sums":{"budget":{"steps":5}}}}""", [StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "RL checkpoints", """{"adapters":{"sums":{"budget":{"checkpointEverySteps":2}}}}""", [] },
        { "clip written out", """{"adapters":{"sums":{"budget":{"clipHigh":0.2}}}}""", [] },
        { "clip-high", """{"adapters":{"sums":{"budget":{"clipHigh":0.28}}}}""", [StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "no RL", """{"adapters":{"sums":{"budget":null}}}""", [StageNames.Resolve, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "switcher steps", """{"switcher":{"steps":21}}""", [StageNames.Switcher, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "verifier steps", """{"adapters":{"sums":{"verifier":{"steps":11}}}}""", [StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "SFT steps", """{"adapters":{"sums":{"sft":{"steps":61}}}}""", [StageNames.Sft, StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle] },
        { "hard budgets", """{"evaluation":{"hardBudgets":[4]}}""", [StageNames.Evaluate, StageNames.Bundle] },
        { "streams", """{"evaluation":{"streams":[1,4]}}""", [StageNames.Evaluate, StageNames.Bundle] },
        { "default mode", """{"default":"sums"}""", [StageNames.Bundle] },
        {
            "tolerance",
            """{"answer":{"type":"number","tolerance":0.1}}""",
            [StageNames.Resolve, StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle]
        },
        {
            "grader",
            """{"grader":{"command":["sh","train.jsonl"]}}""",
            [StageNames.Resolve, StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle]
        },
    };

    [Theory]
    [MemberData(nameof(ChangesOfEveryStage))]
    public void With_every_stage_a_setting_changes_the_keys_of_the_stages_that_read_it(string what, string patch, string[] expected)
    {
        Assert.NotEmpty(what);
        using TinyWorld world = TinyWorld.WithEveryStage();
        CompilePlan before = Plan(world);
        Merge(world.Manifest, JsonNode.Parse(patch)!.AsObject(), whole: ["budgets", "answer"]);
        world.Save();
        Assert.Equal(expected.Order(StringComparer.Ordinal), Changed(before, Plan(world)));
    }

    [Fact]
    public void Every_stage_is_planned_in_its_order()
    {
        using TinyWorld world = TinyWorld.WithEveryStage();
        Assert.Equal(StageNames.All, Plan(world).Stages.Select(s => s.Stage));
    }

    [Theory]
    [InlineData("test.jsonl", StageNames.Resolve, StageNames.Evaluate, StageNames.Bundle)]
    [InlineData("mixed.jsonl", StageNames.Resolve, StageNames.Evaluate, StageNames.Bundle)]
    [InlineData("modes.jsonl", StageNames.Resolve, StageNames.Switcher, StageNames.Export, StageNames.Evaluate, StageNames.Bundle)]
    public void New_data_changes_the_keys_of_the_stages_that_read_it(string file, params string[] expected)
    {
        using TinyWorld world = TinyWorld.WithEveryStage();
        CompilePlan before = Plan(world);
        File.AppendAllText(Path.Combine(world.Project, file), File.ReadLines(Path.Combine(world.Project, file)).First() + "\n");
        Assert.Equal(expected.Order(StringComparer.Ordinal), Changed(before, Plan(world)));
    }

    [Fact]
    public void A_changed_grading_script_trains_and_measures_again()
    {
        using TinyWorld world = TinyWorld.WithEveryStage();
        File.WriteAllText(Path.Combine(world.Project, "grade.sh"), "exit 0");
        world.Manifest["grader"] = JsonNode.Parse("""{ "command": ["sh", "grade.sh"] }""");
        world.Save();
        CompilePlan before = Plan(world);
        File.WriteAllText(Path.Combine(world.Project, "grade.sh"), "exit 1");
        Assert.Equal([StageNames.Budget, StageNames.Bundle, StageNames.Evaluate, StageNames.Export, StageNames.Verifier], Changed(before, Plan(world)));
    }

    [Fact]
    public void Renaming_an_adapter_trains_nothing()
    {
        CompilePlan before = Plan();
        JsonObject adapters = _world.Manifest["adapters"]!.AsObject();
        JsonNode adapter = adapters["sums"]!.DeepClone();
        _world.Manifest["adapters"] = new JsonObject { ["additions"] = adapter };
        _world.Save();
        CompilePlan after = Plan();
        Assert.Equal(before.Sft[0].Key, after.Sft[0].Key);
        Assert.NotEqual(before.Export.Key, after.Export.Key);
    }

    [Fact]
    public void Another_folder_with_the_same_content_has_the_same_keys()
    {
        using TinyWorld other = new();
        Assert.Equal(Plan().InputsDigest, Plan(other).InputsDigest);
        Assert.Empty(Changed(Plan(), Plan(other)));
    }

    [Fact]
    public void Settings_without_effect_change_no_key()
    {
        _world.Manifest["quantization"] = new JsonObject { ["weights"] = "none" };
        _world.Save();
        CompilePlan before = Plan();
        _world.Manifest["quantization"] = new JsonObject { ["weights"] = "none", ["block"] = 64 };
        _world.Save();
        Assert.Equal(before.Quantize.Key, Plan().Quantize.Key);
    }

    [Fact]
    public void New_evaluation_data_trains_nothing()
    {
        CompilePlan before = Plan();
        _world.WriteData("test.jsonl", 50, 9, withTrace: false);
        Assert.Equal([StageNames.Bundle, StageNames.Evaluate, StageNames.Resolve], Changed(before, Plan()));
    }

    [Fact]
    public void New_training_data_quantizes_nothing()
    {
        CompilePlan before = Plan();
        _world.WriteData("train.jsonl", 0, 39, withTrace: true);
        Assert.DoesNotContain(StageNames.Quantize, Changed(before, Plan()));
    }

    private CompilePlan Plan() => Plan(_world);

    private static CompilePlan Plan(TinyWorld world)
    {
        StringWriter text = new();
        CompileInputs? inputs = CompileInputs.Read(world.ManifestPath, new CompilerLog(text, LogFormat.Text), TestContext.Current.CancellationToken);
        Assert.True(inputs is not null, text.ToString());
        return CompilePlan.Create(inputs);
    }

    private static IEnumerable<string> Changed(CompilePlan before, CompilePlan after)
    {
        HashSet<string> known = [.. before.Stages.Select(s => s.Key.ToString())];
        return after.Stages.Where(s => !known.Contains(s.Key.ToString())).Select(s => s.Stage).Order(StringComparer.Ordinal);
    }

    private static void Merge(JsonObject target, JsonObject patch, string[]? whole = null)
    {
        whole ??= ["budgets", "evaluation"];
        foreach ((string name, JsonNode? value) in patch)
        {
            if (value is null)
            {
                target.Remove(name);
            }
            else if (value is JsonObject inner && !whole.Contains(name) && target[name] is JsonObject existing)
            {
                Merge(existing, inner, whole);
            }
            else
            {
                target[name] = value.DeepClone();
            }
        }
    }
}
