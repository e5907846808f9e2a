using System.Text.Json;

namespace ModelSdk.Compiler.Tests.Compile;

[Collection(OneAtATime.Name)]
public sealed class InterruptionTests(CompiledTiny compiled)
{
    [Fact]
    public async Task Killed_in_every_stage_in_turn_it_still_gives_the_same_digest()
    {
        using TinyWorld world = new();
        foreach (string stage in TinyWorld.Stages)
        {
            using ModelcProcess modelc = Compile(world);
            Assert.NotNull(await modelc.ReadUntilAsync(m => ModelcProcess.IsStage(m, stage, "started")));
            modelc.Kill();
        }

        await AssertFinishesAsync(world, compiled.Digest);
    }

    [Fact]
    public async Task A_training_that_is_killed_goes_on_from_its_checkpoint_to_the_same_digest()
    {
        using TinyWorld undisturbed = compiled.Copy();
        using TinyWorld killed = compiled.Copy();
        foreach (TinyWorld world in (TinyWorld[])[undisturbed, killed])
        {
            world.Manifest["adapters"]!["sums"]!["sft"]!["steps"] = 60;
            world.Manifest["adapters"]!["sums"]!["sft"]!["checkpointEverySteps"] = 1;
            world.Save();
        }

        string digest = (await CompilationTests.CompileAsync(undisturbed, output: null)).BundleDigest!;
        using (ModelcProcess modelc = Compile(killed))
        {
            await modelc.ReadUntilAsync(m => IsStep(m) && Step(m) >= 2);
            modelc.Kill();
        }

        Assert.NotEmpty(Directory.GetFiles(Path.Combine(killed.Store, "work", StageNames.Sft), "*", SearchOption.AllDirectories));
        Assert.Single(Directory.GetDirectories(Path.Combine(killed.Store, StageNames.Sft)));
        using (ModelcProcess modelc = Compile(killed))
        {
            JsonElement? first = await modelc.ReadUntilAsync(IsStep);
            Assert.True(Step(first!.Value) > 1, "The training began anew.");
            Assert.Equal(0, (await modelc.FinishAsync()).ExitCode);
        }

        await AssertFinishesAsync(killed, digest);
    }

    [Fact]
    public async Task When_standard_input_ends_it_leaves_a_checkpoint_and_exits_with_130()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["adapters"]!["sums"]!["sft"]!["steps"] = 5000;
        world.Manifest["adapters"]!["sums"]!["sft"]!["checkpointEverySteps"] = 5000;
        world.Save();
        using ModelcProcess modelc = Compile(world);
        Assert.NotNull(await modelc.ReadUntilAsync(IsStep));
        modelc.CloseInput();
        Assert.Equal(130, (await modelc.FinishAsync()).ExitCode);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(world.Store, "work", StageNames.Sft), "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Two_compiles_at_once_share_the_work()
    {
        using TinyWorld world = new();
        using ModelcProcess first = Compile(world);
        using ModelcProcess second = Compile(world);
        (int ExitCode, IReadOnlyList<JsonElement> Events)[] both = await Task.WhenAll(first.FinishAsync(), second.FinishAsync());
        Assert.All(both, run => Assert.Equal(0, run.ExitCode));
        Assert.All(both, run => Assert.Equal(compiled.Digest, ModelcProcess.Text(run.Events.Single(e => ModelcProcess.Text(e, "kind") == "bundle"), "digest")));
        foreach (string stage in TinyWorld.Stages)
        {
            int made = both.Sum(run => run.Events.Count(e => ModelcProcess.IsStage(e, stage, "finished") && !e.GetProperty("cached").GetBoolean()));
            Assert.Equal(1, made);
        }

        Assert.Empty(Directory.GetDirectories(Path.Combine(world.Store, "tmp")));
    }

    private static ModelcProcess Compile(TinyWorld world) =>
        ModelcProcess.Start("compile", world.ManifestPath, "--out", world.Output, "--store", world.Store, "--log", "json", "--exit-with-stdin");

    private static async Task AssertFinishesAsync(TinyWorld world, string digest)
    {
        using ModelcProcess modelc = Compile(world);
        (int exitCode, IReadOnlyList<JsonElement> events) = await modelc.FinishAsync();
        Assert.True(exitCode == 0, string.Join('\n', events) + modelc.Errors);
        Assert.Equal(digest, ModelcProcess.Text(events.Single(e => ModelcProcess.Text(e, "kind") == "bundle"), "digest"));
        Assert.Empty(Directory.GetDirectories(Path.Combine(world.Store, "tmp")));
        Assert.Empty(Directory.GetFiles(Path.Combine(world.Store, "work"), "*", SearchOption.AllDirectories));
    }

    private static bool IsStep(JsonElement message) =>
        ModelcProcess.Text(message, "kind") == "progress" && ModelcProcess.Text(message, "stage") == StageNames.Sft
        && ModelcProcess.Text(message, "text")!.StartsWith("step ", StringComparison.Ordinal);

    private static int Step(JsonElement message) => int.Parse(ModelcProcess.Text(message, "text")!.Split(' ')[1]);
}
