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

    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach ((string name, JsonNode? value) in patch)
        {
            if (value is null)
            {
                target.Remove(name);
            }
            else if (value is JsonObject inner && name is not ("budgets" or "evaluation") && target[name] is JsonObject existing)
            {
                Merge(existing, inner);
            }
            else
            {
                target[name] = value.DeepClone();
            }
        }
    }
}
