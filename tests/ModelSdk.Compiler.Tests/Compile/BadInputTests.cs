using System.Text.Json.Nodes;
using ModelSdk.Compiler.Commands;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>Each bad input stops before anything is trained, with one error that says where.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly TinyWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task A_truncated_safetensors_file()
    {
        string path = Path.Combine(_world.Project, "base", "model.safetensors");
        using (FileStream file = new(path, FileMode.Open))
        {
            file.SetLength(file.Length - 100);
        }

        CompilerDiagnostic error = await OnlyErrorAsync();
        Assert.Equal(DiagnosticCodes.SafetensorsDamaged, error.Code);
        Assert.Equal(path, error.File);
    }

    [Fact]
    public async Task A_malformed_line_of_training_data()
    {
        string path = Path.Combine(_world.Project, "train.jsonl");
        List<string> lines = [.. File.ReadAllLines(path)];
        lines[6] = lines[6][..20];
        File.WriteAllLines(path, lines);
        CompilerDiagnostic error = await OnlyErrorAsync();
        Assert.Equal(DiagnosticCodes.DataLineInvalid, error.Code);
        Assert.Equal(path, error.File);
        Assert.Equal(7, error.Line);
    }

    [Fact]
    public async Task An_evaluation_answer_of_another_type()
    {
        string path = Path.Combine(_world.Project, "test.jsonl");
        File.WriteAllText(path, """{"messages":[{"role":"user","content":"2+2?"}],"answer":"four"}""");
        CompilerDiagnostic error = await OnlyErrorAsync();
        Assert.Equal(DiagnosticCodes.DataLineInvalid, error.Code);
        Assert.Equal((path, 1), (error.File, error.Line));
        Assert.Contains("integer", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_evaluation_question_that_does_not_fit_the_context()
    {
        File.WriteAllText(Path.Combine(_world.Project, "test.jsonl"), $$"""{"messages":[{"role":"user","content":"{{new string('x', 200)}}"}],"answer":"4"}""");
        Assert.Equal(DiagnosticCodes.ExampleTooLong, (await OnlyErrorAsync()).Code);
    }

    [Fact]
    public async Task A_tokenizer_of_another_model()
    {
        string path = Path.Combine(_world.Project, "base", "tokenizer.json");
        JsonObject tokenizer = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        for (int i = 0; i < 10; i++)
        {
            JsonNode extra = tokenizer["added_tokens"]![0]!.DeepClone();
            extra["id"] = 261 + i;
            extra["content"] = $"<extra{i}>";
            tokenizer["added_tokens"]!.AsArray().Add(extra);
        }

        File.WriteAllText(path, tokenizer.ToJsonString());
        Assert.Equal(DiagnosticCodes.TokenizerContradictory, (await OnlyErrorAsync()).Code);
    }

    [Fact]
    public async Task An_unknown_chat_template()
    {
        File.WriteAllText(Path.Combine(_world.Project, "base", "tokenizer_config.json"), """{"chat_template":"{{ messages }}"}""");
        Assert.Equal(DiagnosticCodes.ChatTemplateUnsupported, (await OnlyErrorAsync()).Code);
    }

    [Fact]
    public async Task A_manifest_with_several_mistakes_gets_each_of_them()
    {
        File.WriteAllText(_world.ManifestPath, """
            {
              "base": "base",
              "colour": "blue",
              "answer": "poem"
            }
            """);
        IReadOnlyList<CompilerDiagnostic> found = await DiagnosticsAsync();
        Assert.Equal([3, 4], found.Select(d => d.Line));
        Assert.All(found, d => Assert.Equal(_world.ManifestPath, d.File));
    }

    [Fact]
    public async Task A_manifest_that_is_not_there()
    {
        File.Delete(_world.ManifestPath);
        Assert.Equal(DiagnosticCodes.FileNotFound, (await OnlyErrorAsync()).Code);
    }

    [Fact]
    public async Task Questions_that_were_trained_on_are_a_warning_that_stays_when_cached()
    {
        File.Copy(Path.Combine(_world.Project, "train.jsonl"), Path.Combine(_world.Project, "test.jsonl"), overwrite: true);
        foreach (int time in (int[])[1, 2])
        {
            CompilerDiagnostic warning = Assert.Single(await DiagnosticsAsync());
            Assert.Equal((DiagnosticLevel.Warning, DiagnosticCodes.EvaluationQuestionTrained, time), (warning.Level, warning.Code, time));
            Assert.Equal(Path.Combine(_world.Project, "test.jsonl"), warning.File);
        }
    }

    public static TheoryData<string, string, string, string> BadData => new()
    {
        { "budget.jsonl", "{\"messages\":", DiagnosticCodes.DataLineInvalid, "malformed" },
        { "budget.jsonl", """{"messages":[{"role":"user","content":"1?"}]}""", DiagnosticCodes.DataLineInvalid, "answer" },
        { "budget.jsonl", """{"messages":[{"role":"user","content":"1?"}],"answer":"one"}""", DiagnosticCodes.DataLineInvalid, "integer" },
        { "budget.jsonl", """{"messages":[{"role":"assistant","content":"1"}],"answer":"1"}""", DiagnosticCodes.DataLineInvalid, "user" },
        { "verifier.jsonl", "{\"messages\":", DiagnosticCodes.DataLineInvalid, "malformed" },
        { "verifier.jsonl", """{"messages":[{"role":"user","content":"1?"}]}""", DiagnosticCodes.DataLineInvalid, "answer" },
        { "modes.jsonl", "[]", DiagnosticCodes.DataLineInvalid, "malformed" },
        { "modes.jsonl", """{"messages":[{"role":"user","content":"1?"}]}""", DiagnosticCodes.DataLineInvalid, "mode" },
        { "modes.jsonl", """{"messages":[{"role":"user","content":"1?"}],"mode":"poetry"}""", DiagnosticCodes.DataLineInvalid, "poetry" },
        { "mixed.jsonl", """{"messages":[{"role":"user","content":"1?"}],"answer":"1"}""", DiagnosticCodes.DataLineInvalid, "mode" },
        { "mixed.jsonl", """{"messages":[{"role":"user","content":"1?"}],"answer":"1","mode":"poetry"}""", DiagnosticCodes.DataLineInvalid, "poetry" },
        { "mixed.jsonl", """{"messages":[{"role":"user","content":"1?"}],"mode":"base"}""", DiagnosticCodes.DataLineInvalid, "answer" },
        { "votes.jsonl", """{"messages":[{"role":"user","content":"1?"}]}""", DiagnosticCodes.DataLineInvalid, "answer" },
        { "votes.jsonl", "nonsense", DiagnosticCodes.DataLineInvalid, "malformed" },
    };

    [Theory]
    [MemberData(nameof(BadData))]
    public async Task A_bad_line_of_any_data_file_is_named(string file, string line, string code, string says)
    {
        using TinyWorld world = EveryFile();
        string path = Path.Combine(world.Project, file);
        List<string> lines = [.. File.ReadAllLines(path)];
        lines[2] = line;
        File.WriteAllLines(path, lines);
        CompilerDiagnostic error = Assert.Single(await DiagnosticsAsync(world));
        Assert.Equal((DiagnosticLevel.Error, code, path, 3), (error.Level, error.Code, error.File, error.Line));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(world.Store, StageNames.Resolve)));
    }

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("test.jsonl")]
    [InlineData("budget.jsonl")]
    [InlineData("verifier.jsonl")]
    [InlineData("modes.jsonl")]
    [InlineData("mixed.jsonl")]
    [InlineData("votes.jsonl")]
    public async Task A_data_file_without_examples_is_named(string file)
    {
        using TinyWorld world = EveryFile();
        string path = Path.Combine(world.Project, file);
        File.WriteAllText(path, "\n\n");
        CompilerDiagnostic error = Assert.Single(await DiagnosticsAsync(world));
        Assert.Equal((DiagnosticLevel.Error, DiagnosticCodes.DataEmpty, path), (error.Level, error.Code, error.File));
    }

    [Theory]
    [InlineData("verifier.jsonl")]
    [InlineData("mixed.jsonl")]
    [InlineData("votes.jsonl")]
    public async Task A_question_that_does_not_fit_the_context_is_named(string file)
    {
        using TinyWorld world = EveryFile();
        string path = Path.Combine(world.Project, file);
        File.AppendAllText(path, $$"""{"messages":[{"role":"user","content":"{{new string('x', 200)}}"}],"answer":"1","mode":"base"}""");
        CompilerDiagnostic error = Assert.Single(await DiagnosticsAsync(world));
        Assert.Equal((DiagnosticCodes.ExampleTooLong, path, File.ReadLines(path).Count()), (error.Code, error.File, error.Line));
    }

    [Fact]
    public async Task With_a_grader_any_answer_may_be_expected()
    {
        using TinyWorld world = EveryFile();
        world.Manifest["grader"] = JsonNode.Parse("""{ "command": ["grade"] }""");
        world.Save();
        File.AppendAllText(Path.Combine(world.Project, "budget.jsonl"), """{"messages":[{"role":"user","content":"1?"}],"answer":"any number"}""");
        Assert.Empty(await DiagnosticsAsync(world));
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"2+2?"}""", "MDL3011")]
    [InlineData("""{"messages":[{"role":"user","content":"2+2?"}]}""", "MDL3011")]
    [InlineData("", "MDL3012")]
    [InlineData("long", "MDL3013")]
    [InlineData(null, "MDL1020")]
    public async Task A_calibration_that_cannot_be_used(string? text, string code)
    {
        _world.Manifest["quantization"] = JsonNode.Parse("""{ "weights": "int4", "quality": "balanced", "calibration": "traces.jsonl" }""");
        _world.Save();
        string path = Path.Combine(_world.Project, "traces.jsonl");
        if (text is not null)
        {
            File.WriteAllText(path, text == "long" ? $$"""{"messages":[{"role":"user","content":"{{new string('x', 200)}}"},{"role":"assistant","content":"4"}]}""" : text);
        }

        CompilerDiagnostic error = await OnlyErrorAsync();
        Assert.Equal(code, error.Code);
        Assert.Contains("traces.jsonl", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_bits_than_a_target_has_room_for()
    {
        _world.Manifest["quantization"] = JsonNode.Parse("""{ "bitsPerWeight": 8 }""");
        _world.Manifest["targets"] = JsonNode.Parse("""[{ "rid": "linux-x64", "diskMB": 1 }]""");
        string config = Path.Combine(_world.Project, "base", "config.json");
        _world.Save();
        Assert.Empty(await DiagnosticsAsync()); // 40 kB of weights
        JsonObject shape = JsonNode.Parse(File.ReadAllText(config))!.AsObject();
        BaseOf(shape, intermediate: 8192);
        CompilerDiagnostic error = await OnlyErrorAsync();
        Assert.Equal(DiagnosticCodes.TargetExceeded, error.Code);
        Assert.Contains("weights alone", error.Message, StringComparison.Ordinal);
        Assert.Equal(_world.ManifestPath, error.File);
    }

    // Every file that a manifest can name is one of its own.
    private static TinyWorld EveryFile()
    {
        TinyWorld world = TinyWorld.WithEveryStage();
        world.WriteCoins("budget.jsonl", 100, 8, withTrace: false);
        world.WriteCoins("verifier.jsonl", 200, 8, withTrace: false);
        world.WriteCoins("votes.jsonl", 300, 8, withTrace: false);
        world.Manifest["adapters"]!["sums"]!["budget"]!["data"] = "budget.jsonl";
        world.Manifest["adapters"]!["sums"]!["verifier"]!["data"] = "verifier.jsonl";
        world.Manifest["evaluation"]!["streamData"] = "votes.jsonl";
        world.Save();
        return world;
    }

    private void BaseOf(JsonObject shape, int intermediate)
    {
        TransformerConfig config = new("qwen2", (int)shape["vocab_size"]!, (int)shape["hidden_size"]!, intermediate, (int)shape["num_hidden_layers"]!, (int)shape["num_attention_heads"]!, (int)shape["num_key_value_heads"]!, (int)shape["hidden_size"]! / (int)shape["num_attention_heads"]!, 256, 10000, 1e-6, true);
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(config).ToDictionary(t => t.Name, t => t.Shape);
        CheckpointWriter.Write(Path.Combine(_world.Project, "base"), config, name => new float[shapes[name].Aggregate(1L, (x, y) => x * y)]);
    }

    private async Task<CompilerDiagnostic> OnlyErrorAsync()
    {
        CompilerDiagnostic error = Assert.Single(await DiagnosticsAsync());
        Assert.Equal(DiagnosticLevel.Error, error.Level);
        return error;
    }

    private Task<IReadOnlyList<CompilerDiagnostic>> DiagnosticsAsync() => DiagnosticsAsync(_world);

    private static async Task<IReadOnlyList<CompilerDiagnostic>> DiagnosticsAsync(TinyWorld world)
    {
        CompilerLog log = CompilerLog.Silent();
        CompileRequest request = new(world.ManifestPath, new ArtifactStore(world.Store)) { Through = StageNames.Resolve };
        await CommandLine.GuardAsync(log, exitWithStandardInput: false, token => Compilation.RunAsync(request, log, token));
        return log.Diagnostics;
    }
}
