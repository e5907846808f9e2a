using System.Diagnostics;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Tests.Compile;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Tests.Commands;

/// <summary>The verbs as a user runs them, each in a process of its own.</summary>
[Collection(OneAtATime.Name)]
public sealed class CommandLineTests(CompiledTiny compiled)
{
    [Theory]
    [InlineData("")]
    [InlineData("compile")]
    [InlineData("compile m.model.json --through nowhere")]
    [InlineData("compile m.model.json --log json --json -")]
    [InlineData("compile m.model.json --since yesterday")]
    [InlineData("run bundle")]
    [InlineData("run bundle --prompt x --max-tokens 0")]
    [InlineData("paint m.model.json")]
    public async Task A_wrong_command_line_exits_with_2_and_says_why(string commandLine)
    {
        (int exitCode, string output, string errors) = await RunAsync(commandLine.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(2, exitCode);
        Assert.NotEmpty(output + errors);
    }

    [Fact]
    public async Task Plan_lists_the_stages_with_what_is_in_the_store()
    {
        (int exitCode, string output, _) = await RunAsync("plan", compiled.World.ManifestPath, "--store", compiled.World.Store, "--json", "-");
        Assert.Equal(0, exitCode);
        JsonNode plan = JsonNode.Parse(output)!;
        Assert.Equal(TinyWorld.Stages, plan["stages"]!.AsArray().Select(s => s!["name"]!.GetValue<string>()));
        Assert.All(plan["stages"]!.AsArray(), s => Assert.True(s!["cached"]!.GetValue<bool>()));
        Assert.Equal(0, plan["seconds"]!.GetValue<double>());

        using TinyWorld fresh = new();
        (_, output, _) = await RunAsync("plan", fresh.ManifestPath, "--store", fresh.Store, "--json", "-");
        plan = JsonNode.Parse(output)!;
        Assert.All(plan["stages"]!.AsArray(), s => Assert.True(s!["seconds"]!.GetValue<double>() > 0 && s["diskBytes"]!.GetValue<long>() > 0 && s["memoryBytes"]!.GetValue<long>() > 0));
        Assert.False(Directory.Exists(fresh.Store));
    }

    [Fact]
    public async Task Inspect_verifies_a_bundle_and_shows_it()
    {
        (int exitCode, string output, _) = await RunAsync("inspect", compiled.World.Output);
        Assert.Equal(0, exitCode);
        Assert.Contains(compiled.Digest, output, StringComparison.Ordinal);
        Assert.Contains("sums (default)", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tampered_bundle_gives_one_clear_error()
    {
        using TinyWorld world = compiled.Copy();
        await CompilationTests.CompileAsync(world, world.Output);
        string weights = Path.Combine(world.Output, "weights.bin");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[100] ^= 1;
        File.WriteAllBytes(weights, bytes);
        foreach (string[] command in (string[][])[["inspect", world.Output], ["run", world.Output, "--prompt", "1+1?"]])
        {
            (int exitCode, _, string errors) = await RunAsync(command);
            Assert.Equal(1, exitCode);
            Assert.Contains(DiagnosticCodes.BundleTampered, Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
            Assert.Contains("weights.bin", errors, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Run_answers_in_the_mode_and_budget_asked_for()
    {
        (int exitCode, string output, string errors) = await RunAsync("run", compiled.World.Output, "--prompt", "1+1?", "--mode", "sums", "--budget", "short", "--json", "-");
        Assert.True(exitCode == 0, errors);
        JsonNode result = JsonNode.Parse(output)!;
        Assert.Equal("sums", result["mode"]!.GetValue<string>());
        Assert.Equal(16, result["usage"]!["budget"]!.GetValue<int>());

        (exitCode, _, errors) = await RunAsync("run", compiled.World.Output, "--prompt", "1+1?", "--budget", "endless");
        Assert.Equal(1, exitCode);
        Assert.Contains("short", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_asks_several_streams_and_shows_their_vote()
    {
        string[] ask = ["run", compiled.World.Output, "--prompt", "1+1?", "--streams", "3", "--max-tokens", "40", "--seed", "7"];
        (int exitCode, string output, string errors) = await RunAsync([.. ask, "--json", "-"]);
        Assert.True(exitCode == 0, errors);
        JsonNode answer = JsonNode.Parse(output)!;
        Assert.Equal(3, (int)answer["usage"]!["streams"]!);
        Assert.InRange((double)answer["confidence"]!, 0, 1);
        Assert.InRange(answer["votes"]!.AsArray().Sum(v => (int)v!["streams"]!), 0, 3);
        Assert.Null(answer["routing"]);

        (exitCode, output, errors) = await RunAsync(ask);
        Assert.True(exitCode == 0, errors);
        Assert.Contains("; 3 streams, ", output, StringComparison.Ordinal);

        // The tiny model has no switcher.
        (exitCode, _, errors) = await RunAsync("run", compiled.World.Output, "--prompt", "1+1?", "--mode", "auto", "--threshold", "0.3");
        Assert.Equal(1, exitCode);
        Assert.Contains("MDL6004", errors, StringComparison.Ordinal);
        Assert.Contains("switcher", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Eval_measures_the_same_as_the_compile_did()
    {
        (int exitCode, string output, string errors) = await RunAsync("eval", compiled.World.Output, "--data", Path.Combine(compiled.World.Project, "test.jsonl"), "--max-tokens", "12", "--json", "-");
        Assert.True(exitCode == 0, errors);
        JsonNode evaluation = JsonNode.Parse(output)!["evaluation"]!;
        foreach (string mode in (string[])["base", "sums"])
        {
            JsonNode measured = mode == "base" ? compiled.Result.Report!["evaluation"]!["base"]! : compiled.Result.Report!["evaluation"]!["adapters"]!["sums"]!["deployed"]!;
            Assert.Equal(measured.ToJsonString(), evaluation[mode]!.ToJsonString());
        }
    }

    [Fact]
    public async Task Arguments_come_from_a_response_file_verbatim()
    {
        using TemporaryFolder folder = new();
        string odd = folder["a b #1, 50% @ [x] ü"];
        string manifest = folder.Write(Path.Combine("a b #1, 50% @ [x] ü", "m.model.json"), "{ \"colour\": 1 }");
        string file = folder.Write("modelc.rsp", $"compile\n{manifest}\n--store\n{odd}\n");
        (int exitCode, _, string errors) = await RunAsync("@" + file);
        Assert.Equal(1, exitCode);
        Assert.StartsWith(manifest + "(", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Clean_removes_what_this_manifest_uses_and_nothing_else()
    {
        using TinyWorld world = compiled.Copy();
        string other = Path.Combine(world.Store, StageNames.Quantize, new string('0', 64));
        Directory.CreateDirectory(other);
        (int exitCode, _, string errors) = await RunAsync("clean", world.ManifestPath, "--store", world.Store);
        Assert.True(exitCode == 0, errors);
        Assert.Equal([other], TinyWorld.Stages.SelectMany(s => Directory.GetDirectories(Path.Combine(world.Store, s))));
        Assert.Equal(0, (await RunAsync("clean", world.ManifestPath, "--store", world.Store)).ExitCode);
    }

    internal static async Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = System.Text.Encoding.UTF8, StandardErrorEncoding = System.Text.Encoding.UTF8 };
        foreach (string argument in (string[])["exec", Path.Combine(AppContext.BaseDirectory, "modelc.dll"), .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await errors);
    }
}
