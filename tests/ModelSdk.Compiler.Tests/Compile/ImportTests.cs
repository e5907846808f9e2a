using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Compiler.Tests.Commands;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>Adapters in PEFT's layout go out of a compile and into another.</summary>
[Collection(OneAtATime.Name)]
public sealed class ImportTests(CompiledTiny compiled)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_exported_adapter_imports_into_the_same_bundle()
    {
        using TinyWorld world = new();
        await ExportAsync(world);
        world.Manifest["adapters"] = JsonNode.Parse("""{ "sums": { "import": "peft/sums" } }""");
        world.Save();
        File.Delete(Path.Combine(world.Project, "train.jsonl"));

        CompileResult result = await CompilationTests.CompileAsync(world, world.Output);

        BundleManifest bundle = BundleManifest.Read(world.Output), trained = BundleManifest.Read(compiled.World.Output);
        BundleAdapter adapter = Assert.Single(bundle.Adapters);
        Assert.Equal(trained.Adapters[0], adapter);
        foreach (string file in (string[])[adapter.Graph, adapter.Weights, "weights.bin"])
        {
            Assert.Equal(trained.Files[file], bundle.Files[file]);
        }

        Assert.Equal(trained.Measured["sums"], bundle.Measured["sums"]);
        Assert.True(result.Report!["training"]!["sums"]!["imported"]!.GetValue<bool>());
        Assert.Contains("Imported, rank 4.", File.ReadAllText(Path.Combine(world.Output, "report.html")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_adapter_goes_out_of_a_base_with_transforms_and_comes_back()
    {
        using TinyWorld world = new();
        world.Manifest["quantization"] = JsonNode.Parse("""{ "quality": "best", "calibration": "traces.jsonl" }""");
        world.WriteData("traces.jsonl", 0, 20, withTrace: true);
        world.Save();
        await CompilationTests.CompileAsync(world, output: null, through: StageNames.Sft);
        (StoreEntry quantized, StoreEntry trained) = Entries(world);
        string folder = Path.Combine(world.Project, "peft");
        (int exitCode, _, string errors) = await CommandLineTests.RunAsync("export", world.ManifestPath, "--out", folder, "--store", world.Store);
        Assert.True(exitCode == 0, errors);

        LoraAdapter before = LoraAdapter.Load(trained.Folder), original = LoraAdapter.Load(Path.Combine(folder, "sums"));
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        const string Down = "model.layers.0.mlp.down_proj";
        LayerTransforms layer = model.Transforms.Layers[0];
        LoraLinear moved = original.Linears[Down];
        for (int c = 0; c < moved.InFeatures; c++)
        {
            int source = layer.Permutation![c];
            Assert.Equal(before.Linears[Down].A[c] * (layer.Up?[source] ?? 1), moved.A[source], 1e-6); // A T: what x' = T x was multiplied with
        }

        world.Manifest["adapters"] = JsonNode.Parse("""{ "sums": { "import": "peft/sums" } }""");
        world.Save();
        await CompilationTests.CompileAsync(world, output: null, through: StageNames.Sft);
        LoraAdapter after = LoraAdapter.Load(Entries(world).Trained.Folder);
        foreach (LoraLinear linear in before.Linears.Values)
        {
            Assert.Equal(linear.A, after.Linears[linear.Name].A, (x, y) => Math.Abs(x - y) <= 1e-6f * Math.Max(1, Math.Abs(x)));
            Assert.Equal(linear.B, after.Linears[linear.Name].B, (x, y) => Math.Abs(x - y) <= 1e-6f * Math.Max(1, Math.Abs(x)));
        }
    }

    [Fact]
    public async Task Budget_forcing_goes_on_from_an_imported_adapter()
    {
        using TinyWorld world = new();
        await ExportAsync(world);
        world.WriteCoins("coins.jsonl", 0, 8, withTrace: false);
        world.Manifest["adapters"] = JsonNode.Parse("""
            { "sums": { "import": "peft/sums", "budget": { "data": "coins.jsonl", "steps": 1, "prompts": 2, "samples": 2, "budgets": [6], "maxTokens": 12 } } }
            """);
        world.Save();

        await CompilationTests.CompileAsync(world, output: null, through: StageNames.Budget);

        CompileInputs inputs = CompileInputs.Read(world.ManifestPath, new CompilerLog(TextWriter.Null, LogFormat.Text), Token)!;
        StoreEntry entry = new ArtifactStore(world.Store).TryRead(CompilePlan.Create(inputs).Budget[0].Key)!;
        Assert.Equal(4, LoraAdapter.Load(entry.Folder).Rank);
    }

    [Theory]
    [InlineData("other tokens", "MDL4012", "activated by the tokens [1, 2]")]
    [InlineData("other base", "MDL4012", "trained on the weights sha256:00")]
    [InlineData("other shape", "MDL4012", "model.layers.7.mlp.up_proj")]
    [InlineData("pickle", "MDL4011", "adapter_model.bin")]
    public async Task An_adapter_that_does_not_belong_here_stops_in_resolve(string mistake, string code, string text)
    {
        using TinyWorld world = new();
        string folder = await ExportAsync(world);
        LoraAdapter adapter = LoraAdapter.Load(folder);
        LoraLinear up = adapter.Linears["model.layers.0.mlp.up_proj"] with { Name = "model.layers.7.mlp.up_proj" };
        (mistake switch
        {
            "other tokens" => adapter with { InvocationTokens = [1, 2] },
            "other base" => adapter with { BaseDigest = "sha256:00" },
            "other shape" => adapter with { Linears = new Dictionary<string, LoraLinear> { [up.Name] = up } },
            _ => adapter,
        }).Save(folder);
        if (mistake == "pickle")
        {
            File.Move(Path.Combine(folder, "adapter_model.safetensors"), Path.Combine(folder, "adapter_model.bin"));
        }

        world.Manifest["adapters"] = JsonNode.Parse("""{ "sums": { "import": "peft/sums" } }""");
        world.Save();

        ModelSdkException error = await Assert.ThrowsAnyAsync<ModelSdkException>(() => CompilationTests.CompileAsync(world, output: null, through: StageNames.Resolve));

        Assert.Equal(code, error.Code);
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_adapter_that_was_trained_on_prompts_is_a_warning()
    {
        using TinyWorld world = new();
        string folder = await ExportAsync(world);
        (LoraAdapter.Load(folder) with { InvocationTokens = [] }).Save(folder);
        world.Manifest["adapters"] = JsonNode.Parse("""{ "sums": { "import": "peft/sums" } }""");
        world.Save();
        StringWriter log = new();

        await Compilation.RunAsync(new CompileRequest(world.ManifestPath, new ArtifactStore(world.Store)) { Through = StageNames.Resolve }, new CompilerLog(log, LogFormat.Text), Token);

        Assert.Contains("MDL3015", log.ToString(), StringComparison.Ordinal);
        Assert.Contains("alora_invocation_tokens", log.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_verb_import_checks_an_adapter_and_states_its_base()
    {
        using TinyWorld world = new();
        string folder = await ExportAsync(world);
        (LoraAdapter.Load(folder) with { BaseDigest = null }).Save(folder);

        (int exitCode, string output, string errors) = await CommandLineTests.RunAsync("import", folder, "--base", Path.Combine(world.Project, "base"), "--out", world["checked"], "--json", "-");

        Assert.True(exitCode == 0, errors);
        JsonNode result = JsonNode.Parse(output)!;
        Assert.Equal(4, result["rank"]!.GetValue<int>());
        Assert.Equal(14, result["linears"]!.GetValue<int>());
        LoraAdapter adapter = LoraAdapter.Load(world["checked"]);
        Assert.Equal(result["baseDigest"]!.GetValue<string>(), adapter.BaseDigest);
        Assert.NotEmpty(adapter.InvocationTokens);

        (adapter with { BaseDigest = "sha256:00" }).Save(folder);
        (exitCode, _, errors) = await CommandLineTests.RunAsync("import", folder, "--base", Path.Combine(world.Project, "base"));
        Assert.Equal(1, exitCode);
        Assert.Contains("MDL4012", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_verb_export_needs_a_compiled_adapter()
    {
        using TinyWorld world = new();
        (int exitCode, _, string errors) = await CommandLineTests.RunAsync("export", world.ManifestPath, "--out", world["peft"], "--store", world.Store);
        Assert.Equal(1, exitCode);
        Assert.Contains("MDL4061", errors, StringComparison.Ordinal);
    }

    private static (StoreEntry Quantized, StoreEntry Trained) Entries(TinyWorld world)
    {
        CompilePlan plan = CompilePlan.Create(CompileInputs.Read(world.ManifestPath, new CompilerLog(TextWriter.Null, LogFormat.Text), Token)!);
        ArtifactStore store = new(world.Store);
        return (store.TryRead(plan.Quantize.Key)!, store.TryRead(plan.Sft[0].Key)!);
    }

    /// <summary>Exports the compiled world's adapter into another world's project.</summary>
    private async Task<string> ExportAsync(TinyWorld world)
    {
        string folder = Path.Combine(world.Project, "peft");
        (int exitCode, _, string errors) = await CommandLineTests.RunAsync("export", compiled.World.ManifestPath, "--out", folder, "--store", compiled.World.Store);
        Assert.True(exitCode == 0, errors);
        return Path.Combine(folder, "sums");
    }
}
