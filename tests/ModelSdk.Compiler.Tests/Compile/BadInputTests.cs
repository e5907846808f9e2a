using System.Text.Json.Nodes;
using ModelSdk.Compiler.Commands;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;

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

    private async Task<CompilerDiagnostic> OnlyErrorAsync()
    {
        CompilerDiagnostic error = Assert.Single(await DiagnosticsAsync());
        Assert.Equal(DiagnosticLevel.Error, error.Level);
        return error;
    }

    private async Task<IReadOnlyList<CompilerDiagnostic>> DiagnosticsAsync()
    {
        CompilerLog log = CompilerLog.Silent();
        CompileRequest request = new(_world.ManifestPath, new ArtifactStore(_world.Store)) { Through = StageNames.Resolve };
        await CommandLine.GuardAsync(log, exitWithStandardInput: false, token => Compilation.RunAsync(request, log, token));
        return log.Diagnostics;
    }
}
