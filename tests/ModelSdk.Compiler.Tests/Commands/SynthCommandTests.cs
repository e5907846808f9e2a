using System.Text.Json.Nodes;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Compiler.Tests.Commands;

public class SynthCommandTests
{
    [Fact]
    public async Task Synth_writes_a_base_that_compiles_and_says_what_it_wrote()
    {
        using TemporaryFolder folder = new();
        string output = folder["project", "base"];
        (int exitCode, string text, string errors) = await CommandLineTests.RunAsync("synth", "--shape", "tiny", "--out", output, "--seed", "5", "--json", "-");
        Assert.True(exitCode == 0, errors);
        JsonNode result = JsonNode.Parse(text)!;
        using (Checkpoint checkpoint = Checkpoint.Open(output))
        {
            Assert.Equal(result["parameters"]!.GetValue<long>(), checkpoint.Tensors.Values.Sum(t => t.Count));
        }

        Assert.Equal(
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"],
            result["files"]!.AsArray().Select(f => f!["name"]!.GetValue<string>()));

        // The whole way: a manifest without adapters over it becomes a bundle that answers.
        string manifest = folder.Write("project/synth.model.json", """{ "base": "base", "context": 256, "answer": "text" }""");
        (exitCode, _, errors) = await CommandLineTests.RunAsync("compile", manifest, "--store", folder["store"], "--out", folder["bundle"]);
        Assert.True(exitCode == 0, errors);
        (exitCode, text, errors) = await CommandLineTests.RunAsync("run", folder["bundle"], "--prompt", "the weather", "--max-tokens", "3", "--json", "-");
        Assert.True(exitCode == 0, errors);
        Assert.InRange(JsonNode.Parse(text)!["usage"]!["answerTokens"]!.GetValue<int>(), 1, 3);
    }

    [Fact]
    public async Task Synth_replaces_no_folder_and_names_the_shapes_it_knows()
    {
        using TemporaryFolder folder = new();
        folder.Write("base/notes.txt", "mine");
        (int exitCode, _, string errors) = await CommandLineTests.RunAsync("synth", "--shape", "tiny", "--out", folder["base"]);
        Assert.Equal(1, exitCode);
        Assert.Contains("MDL5020", errors, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(folder["base", "notes.txt"]));

        (exitCode, string text, errors) = await CommandLineTests.RunAsync("synth", "--shape", "qwen2.5-72b", "--out", folder["other"]);
        Assert.Equal(2, exitCode);
        Assert.Contains("qwen2.5-7b", errors + text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["other"]));
    }
}
