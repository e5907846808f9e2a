using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests.Compile;

[Collection(OneAtATime.Name)]
public sealed class CompilationTests(CompiledTiny compiled)
{
    // The tiny world forces no budgets and has neither switcher nor verifier.
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void A_compile_from_an_empty_store_makes_every_stage_and_a_sound_bundle()
    {
        Assert.Equal(TinyWorld.Stages, compiled.Result.Stages.Select(s => s.Name));
        Assert.All(compiled.Result.Stages, stage => Assert.False(stage.Cached));
        BundleManifest bundle = BundleManifest.Read(compiled.World.Output);
        BundleVerifier.Verify(compiled.World.Output, bundle, cancellationToken: Token);
        Assert.Equal("Tiny", bundle.Name);
        Assert.Equal(["base", "sums"], bundle.Modes);
        Assert.Equal("sums", bundle.DefaultMode);
        Assert.Equal(8, bundle.Measured["sums"].Examples);
        Assert.Equal([256, 258], bundle.EosTokens);
        string[] covered = [.. bundle.Files.Keys, "model.json", "report.json", "report.html"];
        Assert.Equal(covered.Order(StringComparer.Ordinal), Relative(compiled.World.Output));
    }

    [Fact]
    public void The_report_has_the_names_that_tools_rely_on()
    {
        JsonObject report = JsonNode.Parse(compiled.Result.Report!.ToJsonString())!.AsObject();
        Assert.True(File.Exists(Path.Combine(compiled.World.Output, "report.json")));
        Assert.Equal(TinyWorld.Stages, report["stages"]!.AsArray().Select(s => s!["name"]!.GetValue<string>()));
        Assert.All(report["stages"]!.AsArray(), stage =>
        {
            Assert.True(stage!["seconds"]!.GetValue<double>() > 0);
            Assert.True(stage["peakRssMb"]!.GetValue<double>() > 10);
            Assert.False(stage["cached"]!.GetValue<bool>());
        });
        JsonNode evaluation = report["evaluation"]!;
        foreach (JsonNode mode in (JsonNode[])[evaluation["base"]!, evaluation["adapters"]!["sums"]!["sft"]!, evaluation["deployed"]!])
        {
            Assert.Equal(8, mode["examples"]!.GetValue<int>());
            Assert.InRange(mode["accuracy"]!.GetValue<double>(), 0, 1);
            Assert.InRange(mode["meanTokens"]!.GetValue<double>(), 0, 12);
            Assert.InRange(mode["medianTokens"]!.GetValue<double>(), 0, 12);
        }

        Assert.Equal(1, report["baseline"]!["seed"]!.GetValue<int>());
        Assert.Equal(40, report["baseline"]!["trainingExamples"]!["sums"]!.GetValue<int>());
        Assert.Equal(6, report["training"]!["sums"]!["sft"]!["loss"]!.AsArray().Count);
        Assert.NotEmpty(report["parity"]!["sums"]!.AsObject());
    }

    [Fact]
    public void The_html_report_stands_alone()
    {
        string html = File.ReadAllText(Path.Combine(compiled.World.Output, "report.html"));
        Assert.StartsWith("<!doctype html>", html, StringComparison.Ordinal);
        Assert.EndsWith("</html>\n", html, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", html, StringComparison.Ordinal);
        Assert.DoesNotContain("http", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_compile_makes_nothing_and_leaves_the_bundle_alone()
    {
        string model = Path.Combine(compiled.World.Output, "model.json");
        DateTime before = File.GetLastWriteTimeUtc(model);
        CompileResult again = await CompileAsync(compiled.World, compiled.World.Output);
        Assert.All(again.Stages, stage => Assert.True(stage.Cached));
        Assert.Equal(compiled.Digest, again.BundleDigest);
        Assert.Equal(before, File.GetLastWriteTimeUtc(model));
    }

    [Fact]
    public async Task A_stage_is_cached_when_it_was_in_the_store_before_the_build_began()
    {
        DateTimeOffset afterwards = DateTimeOffset.UtcNow;
        CompileResult partOfTheBuild = await CompileAsync(compiled.World, output: null, since: afterwards - TimeSpan.FromHours(1));
        Assert.All(partOfTheBuild.Stages, stage => Assert.False(stage.Cached));
        Assert.All(partOfTheBuild.Report!["stages"]!.AsArray(), stage => Assert.False(stage!["cached"]!.GetValue<bool>()));
        CompileResult later = await CompileAsync(compiled.World, output: null, since: afterwards);
        Assert.All(later.Stages, stage => Assert.True(stage.Cached));
    }

    [Fact]
    public async Task Another_compile_from_an_empty_store_gives_the_same_digest()
    {
        using TinyWorld other = new();
        CompileResult result = await CompileAsync(other, output: null);
        Assert.Equal(compiled.Digest, result.BundleDigest);
    }

    [Fact]
    public async Task Renaming_a_budget_makes_a_new_bundle_and_nothing_else()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["budgets"] = new JsonObject { ["brief"] = 16 };
        world.Save();
        CompileResult result = await CompileAsync(world, world.Output);
        Assert.Equal([StageNames.Bundle], result.Stages.Where(s => !s.Cached).Select(s => s.Name));
        Assert.NotEqual(compiled.Digest, result.BundleDigest);
        Assert.Equal("brief", Assert.Single(BundleManifest.Read(world.Output).Budgets).Name);
    }

    [Fact]
    public async Task More_training_steps_run_from_the_training_on()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["adapters"]!["sums"]!["sft"]!["steps"] = 3;
        world.Save();
        CompileResult result = await CompileAsync(world, output: null);
        Assert.Equal([StageNames.Sft, StageNames.Export, StageNames.Evaluate, StageNames.Bundle], result.Stages.Where(s => !s.Cached).Select(s => s.Name));
    }

    [Fact]
    public async Task A_damaged_store_entry_gives_one_clear_error_and_is_made_again_once_removed()
    {
        using TinyWorld world = compiled.Copy();
        string entry = Directory.GetDirectories(Path.Combine(world.Store, StageNames.Sft)).Single();
        string file = Path.Combine(entry, "adapter_model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);
        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => CompileAsync(world, output: null));
        Assert.Equal(DiagnosticCodes.StoreEntryDamaged, error.Code);
        Assert.Contains(entry, error.Message, StringComparison.Ordinal);

        Directory.Delete(entry, recursive: true);
        CompileResult result = await CompileAsync(world, output: null);
        Assert.Equal([StageNames.Sft], result.Stages.Where(s => !s.Cached).Select(s => s.Name));
        Assert.Equal(compiled.Digest, result.BundleDigest);
    }

    [Fact]
    public async Task Stopping_after_each_stage_gives_the_same_bundle()
    {
        using TinyWorld world = compiled.Copy();
        foreach (string stage in TinyWorld.Stages.SkipLast(1))
        {
            CompileResult part = await CompileAsync(world, output: null, through: stage);
            Assert.Equal(stage, part.Stages[^1].Name);
            Assert.Null(part.BundleDigest);
        }

        Assert.Equal(compiled.Digest, (await CompileAsync(world, output: null)).BundleDigest);
    }

    [Fact]
    public async Task A_folder_that_is_no_bundle_is_not_replaced()
    {
        using TinyWorld world = compiled.Copy();
        Directory.CreateDirectory(world.Output);
        string precious = Path.Combine(world.Output, "thesis.docx");
        File.WriteAllText(precious, "years of work");
        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => CompileAsync(world, world.Output));
        Assert.Equal(DiagnosticCodes.OutputIsNoBundle, error.Code);
        Assert.True(File.Exists(precious));
    }

    [Fact]
    public async Task An_output_with_stale_or_damaged_files_becomes_exactly_the_bundle()
    {
        using TinyWorld world = compiled.Copy();
        await CompileAsync(world, world.Output);
        File.WriteAllText(Path.Combine(world.Output, "old.onnx"), "stale");
        File.WriteAllText(Path.Combine(world.Output, "base.onnx"), "damaged");
        await CompileAsync(world, world.Output);
        Assert.Equal(Relative(compiled.World.Output), Relative(world.Output));
        BundleVerifier.Verify(world.Output, BundleManifest.Read(world.Output), cancellationToken: Token);
        Assert.Equal([Path.GetFileName(world.Output)], Directory.GetFileSystemEntries(Path.GetDirectoryName(world.Output)!).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_lock_accepts_the_same_inputs_and_refuses_others()
    {
        using TinyWorld world = compiled.Copy();
        CompilerException missing = await Assert.ThrowsAsync<CompilerException>(() => CompileAsync(world, output: null, locked: true));
        Assert.Equal(DiagnosticCodes.LockMismatch, missing.Code);

        CompileResult result = await CompileAsync(world, output: null, writeLock: true);
        string path = ModelLock.PathFor(world.ManifestPath);
        ModelLock record = ModelLockParser.Parse(File.ReadAllText(path), path).Lock!;
        Assert.Equal(result.InputsDigest, record.Inputs);
        Assert.Equal(compiled.Digest, record.Bundle);
        Assert.Equal(["base", "sums"], record.Measured.Select(m => m.Mode));
        Assert.NotNull(await CompileAsync(world, output: null, locked: true));

        File.AppendAllText(Path.Combine(world.Project, "train.jsonl"), File.ReadLines(Path.Combine(world.Project, "train.jsonl")).First() + "\n");
        CompilerException changed = await Assert.ThrowsAsync<CompilerException>(() => CompileAsync(world, output: null, locked: true));
        Assert.Equal(DiagnosticCodes.LockMismatch, changed.Code);
    }

    [Fact]
    public async Task A_bundle_that_is_too_large_for_a_target_names_the_target()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["targets"] = new JsonArray(new JsonObject { ["rid"] = "linux-x64", ["memoryMB"] = 1 });
        world.Save();
        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => CompileAsync(world, output: null));
        Assert.Equal(DiagnosticCodes.TargetExceeded, error.Code);
        Assert.Contains("linux-x64", error.Message, StringComparison.Ordinal);
        Assert.True(error.Line > 1);
    }

    [Theory]
    [InlineData("""{ "weights": "int4", "quality": "balanced" }""", "int4", 5, "balanced")]
    [InlineData("""{ "bitsPerWeight": 4, "quality": "best" }""", "mixed", 4, "best")]
    public async Task Calibrated_weights_are_compiled_and_told(string quantization, string weights, double bits, string quality)
    {
        using TinyWorld world = new();
        world.Manifest["quantization"] = JsonNode.Parse(quantization);
        world.Save();
        CompileResult result = await CompileAsync(world, world.Output);
        BundleManifest bundle = BundleManifest.Read(world.Output);
        Assert.Equal((weights, quality), (bundle.Quantization.Weights, bundle.Quantization.Quality));
        Assert.InRange(bundle.Quantization.BitsPerWeight!.Value, 3, bits);
        JsonNode entry = result.Report!["quantization"]![0]!;
        Assert.Equal(bundle.Quantization.BitsPerWeight, (double)entry["linearBits"]!);
        Assert.Contains(quality, (string)entry["config"]!, StringComparison.Ordinal);
        Assert.InRange((double)entry["accuracy"]!, 0, 1);
    }

    internal static async Task<CompileResult> CompileAsync(TinyWorld world, string? output, string through = StageNames.Bundle, bool writeLock = false, bool locked = false, DateTimeOffset? since = null)
    {
        StringWriter text = new();
        CompileRequest request = new(world.ManifestPath, new ArtifactStore(world.Store)) { Output = output, Through = through, WriteLock = writeLock, Locked = locked, Since = since };
        CompileResult? result = await Compilation.RunAsync(request, new CompilerLog(text, LogFormat.Text), Token);
        Assert.True(result is not null, text.ToString());
        return result;
    }

    private static IEnumerable<string> Relative(string folder) =>
        Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f).Replace('\\', '/')).Order(StringComparer.Ordinal);
}
