using System.Text.Json;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Compiler.Tests.Commands;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>A compile through budget forcing, switcher and verifier, and what goes wrong on the way.</summary>
[Collection(OneAtATime.Name)]
public sealed class EveryStageTests(CompiledEveryStage compiled) : IClassFixture<CompiledEveryStage>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void Every_stage_runs_in_its_order_and_the_bundle_holds_what_they_made()
    {
        Assert.Equal(StageNames.All, compiled.Result.Stages.Select(s => s.Name));
        BundleManifest bundle = BundleManifest.Read(compiled.World.Output);
        BundleVerifier.Verify(compiled.World.Output, bundle, cancellationToken: Token);
        Assert.Equal(["base", "sums"], bundle.Modes);
        Assert.Equal("auto", bundle.DefaultMode);
        Assert.Equal(["base", "sums"], bundle.Switcher!.Modes);
        Assert.Equal((8, 0.5, 0.5), (bundle.Switcher.Chunk, bundle.Switcher.Smoothing, bundle.Switcher.Threshold));
        Assert.Equal("<|im_end|>\nRight?", bundle.Adapters[0].Verifier!.Prompt);
        Assert.Equal(("vote", 12, 4), (bundle.Budgets[1].Name, bundle.Budgets[1].Tokens, bundle.Budgets[1].Streams));
        Assert.Equal(["auto", "base", "sums"], bundle.Measured.Keys);
        Assert.Equal(16, bundle.Measured["auto"].Examples);
    }

    [Fact]
    public async Task The_bundle_routes_votes_and_judges()
    {
        await using ReasoningModel model = await ReasoningModel.LoadAsync(compiled.World.Output, cancellationToken: Token);
        ReasoningResult easy = await model.AnswerAsync(ReasoningRequest.FromQuestion("say 50!") with { MaxTokens = 12 }, Token);
        Assert.Equal("base", easy.Routing!.Mode);
        ReasoningResult hard = await model.AnswerAsync(ReasoningRequest.FromQuestion("sum 51?") with { MaxTokens = 12, Streams = 4 }, Token);
        Assert.Equal("sums", hard.Routing!.Mode);
        Assert.True(hard.Routing.Score > easy.Routing.Score);
        Assert.InRange(hard.Confidence!.Value, 0.01, 0.99);
        Assert.NotEmpty(hard.Votes);
    }

    [Fact]
    public void Everything_is_measured()
    {
        EvaluationResults results = compiled.Evaluation();
        AdapterResult adapter = results.Adapters["sums"];
        Assert.Equal((12, 12, 12, 12), (results.Base.Examples, adapter.Sft.Examples, adapter.Budget!.Examples, adapter.Torch.Examples));
        Assert.True(adapter.Sft.Accuracy > 0.2, "The adapter of this world is right about half the time.");
        Assert.Equal(10, adapter.BudgetStated!.Budget);
        Assert.NotNull(adapter.BudgetStated.BudgetForced!.WithinBudget);
        Assert.Equal(2, adapter.BudgetStated.Sampled.BudgetForced!.Accuracies.Count);
        Assert.Equal(10, adapter.LengthReduction!.Budget);
        Assert.Equal([4, 8], results.HardBudgets.Select(h => h.Budget));
        Assert.All(results.HardBudgets, h => Assert.True(h.BudgetForced!.MeanTokens <= h.Budget + 16));
        Assert.Equal(1, results.Switcher!.Auc);
        Assert.Equal(16, results.Switcher.Questions.Count);
        Assert.Equal(12 * 4 * 2, Assert.Single(results.Verifiers).Examples);
        Assert.Equal([1, 2, 4], results.Parallel.Select(p => p.Streams));
        Assert.Equal(results.Parallel[0].Single, results.Parallel[0].Majority);
        Assert.Equal(results.Parallel[0].Single, results.Parallel[0].Weighted);
        Assert.Equal(results.Parallel[0].MeanTokens * 4, results.Parallel[2].MeanTokens, 3);
        Assert.Equal(["none", .. StreamExamination.Policies.Select(p => p.Name).Order()], [results.EarlyStopping[0].Policy, .. results.EarlyStopping.Skip(1).Select(e => e.Policy).Order()]);
        Assert.Equal(0, results.EarlyStopping[0].SavedShare);
        EarlyStoppingResult certain = results.EarlyStopping.Single(e => e.Policy == "stop when it cannot flip, 2 at a time");
        Assert.Equal(certain.Unstopped, certain.Accuracy);
        Assert.True(certain.SavedShare >= 0);
        Assert.All(results.Traces, t => Assert.Equal(["base", "sums", "sums.sft", "sums.stated"], t.Answers.Keys));
        StageTimings timings = StageTimings.Read(compiled.EvaluationFile(StageTimings.FileName));
        Assert.Equal(["torch", "base", "greedy", "stated", "sampled", "hard budgets", "switcher", "streams", "early stopping"], timings.Values.Keys);
    }

    [Fact]
    public async Task A_replayed_vote_is_the_vote_of_a_call()
    {
        // What the policy saves by replay is what it saves when the product runs it on the same seeds.
        EvaluationResults results = compiled.Evaluation();
        await using ReasoningModel model = await ReasoningModel.LoadAsync(compiled.World.Output, cancellationToken: Token);
        IReadOnlyList<Question> questions = Question.Read(Path.Combine(compiled.World.Project, "test.jsonl"), "test.jsonl", null, null);
        foreach ((string name, VotingOptions voting) in StreamExamination.Policies.Where(p => StreamReplay.CanReplay(p.Voting)))
        {
            long tokens = 0;
            for (int seed = 0; seed < 2; seed++)
            {
                for (int i = 0; i < questions.Count; i++)
                {
                    ReasoningResult result = await model.AnswerAsync(
                        new ReasoningRequest
                        {
                            Turns = questions[i].Turns,
                            Mode = "sums",
                            Streams = 4,
                            MaxTokens = 12,
                            Voting = voting,
                            Sampling = new SamplingOptions { Temperature = 1, Seed = (long)Seeds.Of(1, Seeds.Streams, i, seed) },
                        },
                        Token);
                    tokens += result.Usage.GeneratedTokens;
                }
            }

            Assert.Equal(results.EarlyStopping.Single(e => e.Policy == name).MeanTokens, tokens / (2.0 * questions.Count), 4);
        }
    }

    [Fact]
    public async Task Eval_measures_what_the_compile_measured()
    {
        string[] common = ["--max-tokens", "12", "--json", "-"];
        JsonNode output = await EvalAsync("test.jsonl", [.. common, "--mode", "sums", "--hard-budgets", "8,4", "--streams", "1,2,4", "--seeds", "2", "--temperature", "1"]);
        EvaluationResults results = compiled.Evaluation();
        Assert.Equal(results.Adapters["sums"].Budget!.Accuracy, output["evaluation"]!["sums"]!["accuracy"]!.GetValue<double>());
        Assert.Null(output["evaluation"]!["base"]);
        Assert.Equal(results.HardBudgets.Select(h => h.BudgetForced!.MeanTokens), output["hardBudgets"]!.AsArray().Select(h => h!["result"]!["meanTokens"]!.GetValue<double>()));
        Assert.Equal(results.Parallel.Select(p => p.Weighted!.Value), output["parallel"]!.AsArray().Select(p => p!["weighted"]!.GetValue<double>()));
        Assert.Equal(results.Verifiers[0].Auc, output["verifiers"]![0]!["auc"]!.GetValue<double>());
        Assert.Equal(results.EarlyStopping.Select(e => e.MeanTokens), output["earlyStopping"]!.AsArray().Select(e => e!["meanTokens"]!.GetValue<double>()));

        output = await EvalAsync("test.jsonl", [.. common, "--mode", "sums", "--budget", "10", "--seeds", "2"]);
        StatedBudgetResult stated = results.Adapters["sums"].BudgetStated!;
        Assert.Equal(stated.BudgetForced!.WithinBudget, output["evaluation"]!["sums"]!["withinBudget"]!.GetValue<double>());
        Assert.Equal(stated.Sampled.BudgetForced!.Accuracies, output["evaluation"]!["sums"]!["sampled"]!["accuracies"]!.AsArray().Select(a => a!.GetValue<double>()));

        output = await EvalAsync("mixed.jsonl", common);
        Assert.Equal(["base", "sums", "auto"], output["evaluation"]!.AsObject().Select(p => p.Key));
        Assert.Equal(results.Switcher!.At(0.5).Accuracy, output["evaluation"]!["auto"]!["accuracy"]!.GetValue<double>());
        Assert.Equal(results.Switcher.Auc, output["switcher"]!["auc"]!.GetValue<double>());
    }

    [Fact]
    public async Task Another_compile_from_an_empty_store_gives_the_same_bundle_and_the_same_measurements()
    {
        using TinyWorld other = TinyWorld.WithEveryStage();
        CompileResult result = await CompilationTests.CompileAsync(other, output: null);
        Assert.Equal(compiled.Result.BundleDigest, result.BundleDigest);
        string file = Directory.GetFiles(Path.Combine(other.Store, StageNames.Evaluate), EvaluationResults.FileName, SearchOption.AllDirectories).Single();
        Assert.Equal(File.ReadAllText(compiled.EvaluationFile(EvaluationResults.FileName)), File.ReadAllText(file));
    }

    [Fact]
    public async Task More_steps_of_budget_forcing_run_from_there_on()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["adapters"]!["sums"]!["budget"]!["steps"] = 2;
        world.Save();
        CompileResult result = await CompilationTests.CompileAsync(world, output: null);
        Assert.Equal([StageNames.Budget, StageNames.Verifier, StageNames.Export, StageNames.Evaluate, StageNames.Bundle], result.Stages.Where(s => !s.Cached).Select(s => s.Name));
    }

    [Fact]
    public async Task Budget_forcing_that_is_killed_goes_on_from_its_checkpoint_to_the_same_digest()
    {
        using TinyWorld undisturbed = compiled.Copy();
        using TinyWorld killed = compiled.Copy();
        foreach (TinyWorld world in (TinyWorld[])[undisturbed, killed])
        {
            world.Manifest["adapters"]!["sums"]!["budget"]!["steps"] = 40;
            world.Save();
        }

        string digest = (await CompilationTests.CompileAsync(undisturbed, output: null)).BundleDigest!;
        using (ModelcProcess modelc = Start(killed))
        {
            await modelc.ReadUntilAsync(m => Step(m) >= 3);
            modelc.Kill();
        }

        Assert.NotEmpty(Directory.GetFiles(Path.Combine(killed.Store, "work", StageNames.Budget), "*", SearchOption.AllDirectories));
        Assert.Single(Directory.GetDirectories(Path.Combine(killed.Store, StageNames.Budget))); // that of the manifest before
        using (ModelcProcess modelc = Start(killed))
        {
            JsonElement? first = await modelc.ReadUntilAsync(m => Step(m) > 0);
            Assert.True(Step(first!.Value) > 1, "The training began anew.");
            Assert.Equal(0, (await modelc.FinishAsync()).ExitCode);
        }

        Assert.Equal(digest, (await CompilationTests.CompileAsync(killed, output: null)).BundleDigest);
        Assert.Empty(Directory.GetFiles(Path.Combine(killed.Store, "work"), "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Killed_in_each_of_its_stages_it_still_gives_the_same_digest()
    {
        using TinyWorld world = compiled.Copy();
        foreach (string stage in (string[])[StageNames.Budget, StageNames.Switcher, StageNames.Verifier, StageNames.Evaluate])
        {
            string folder = Path.Combine(world.Store, stage);
            Directory.Delete(folder, recursive: true);
            using ModelcProcess modelc = Start(world);
            Assert.NotNull(await modelc.ReadUntilAsync(m => ModelcProcess.IsStage(m, stage, "started")));
            modelc.Kill();
        }

        Assert.Equal(compiled.Result.BundleDigest, (await CompilationTests.CompileAsync(world, output: null)).BundleDigest);
    }

    [Fact]
    public async Task Gates_that_do_not_hold_fail_the_compile_without_a_bundle_and_keep_every_stage()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["evaluation"]!["gates"] = new JsonObject { ["minAccuracy"] = 0.999, ["minSwitcherAuc"] = 0.9, ["maxMeanTokens"] = 1 };
        world.Save();
        CompilerLog log = CompilerLog.Silent();
        CompileResult result = (await Compilation.RunAsync(new CompileRequest(world.ManifestPath, new ArtifactStore(world.Store)) { Output = world.Output, WriteLock = true }, log, Token))!;
        Assert.All(result.Stages, s => Assert.True(s.Cached));
        Assert.Equal((null, null), (result.BundleFolder, result.BundleDigest));
        Assert.Equal([("minAccuracy", false), ("maxMeanTokens", false), ("minSwitcherAuc", true)], result.Gates.Select(g => (g.Name, g.Passed)));
        Assert.Equal([DiagnosticCodes.GateFailed, DiagnosticCodes.GateFailed], log.Diagnostics.Select(d => d.Code));
        Assert.All(log.Diagnostics, d => Assert.True(d.Line > 1 && d.File == world.ManifestPath));
        Assert.False(Directory.Exists(world.Output));
        Assert.False(File.Exists(ModelLock.PathFor(world.ManifestPath)));

        world.Manifest["evaluation"]!["gates"] = new JsonObject { ["minSwitcherAuc"] = 0.9 };
        world.Save();
        result = await CompilationTests.CompileAsync(world, world.Output);
        Assert.All(result.Stages, s => Assert.True(s.Cached));
        Assert.Equal(compiled.Result.BundleDigest, result.BundleDigest);
        Assert.True(result.Report!["gates"]![0]!["passed"]!.GetValue<bool>());
    }

    [Fact]
    public async Task Gates_show_on_the_command_line()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["evaluation"]!["gates"] = new JsonObject { ["minAccuracy"] = 0.999 };
        world.Save();
        using ModelcProcess modelc = ModelcProcess.Start("compile", world.ManifestPath, "--store", world.Store, "--through", StageNames.Evaluate, "--log", "json", "--json", world["result.json"]);
        (int exitCode, IReadOnlyList<JsonElement> events) = await modelc.FinishAsync();
        Assert.Equal(1, exitCode);
        JsonElement error = Assert.Single(events, e => ModelcProcess.Text(e, "kind") == "diagnostic");
        Assert.Equal((DiagnosticCodes.GateFailed, "error"), (ModelcProcess.Text(error, "code"), ModelcProcess.Text(error, "severity")));
        JsonNode json = JsonNode.Parse(File.ReadAllText(world["result.json"]))!;
        Assert.False(json["succeeded"]!.GetValue<bool>());
        Assert.Equal(("minAccuracy", false), (json["gates"]![0]!["name"]!.GetValue<string>(), json["gates"]![0]!["passed"]!.GetValue<bool>()));
        Assert.Equal(8, json["stages"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_grader_that_crashes_in_training_names_the_step_and_loses_nothing()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The grader of this test is a shell script.");
        using TinyWorld world = compiled.Copy();
        world.Manifest["grader"] = new JsonObject { ["command"] = new JsonArray("/bin/sh", "grade.sh") };
        world.Manifest["adapters"]!["sums"]!["budget"]!["steps"] = 6;
        string script = """
            count=$(cat count.txt 2>/dev/null || echo 0); count=$((count + 1)); echo $count > count.txt
            if [ $count -eq 4 ] && [ ! -f repaired ]; then echo out of luck >&2; exit 9; fi
            while read -r line; do
              id=${line#*\"id\":\"}; id=${id%%\"*}
              expected=${line#*\"expected\":\"}; expected=${expected%%\"*}
              answer=${line#*\"answer\":\"}; answer=${answer%%\"*}
              if [ "$expected" = "$answer" ]; then echo "{\"id\":\"$id\",\"score\":1}"; else echo "{\"id\":\"$id\",\"score\":0}"; fi
            done
            """;
        File.WriteAllText(Path.Combine(world.Project, "grade.sh"), script);
        world.Save();
        CompilerException error = await Assert.ThrowsAsync<CompilerException>(() => CompilationTests.CompileAsync(world, output: null));
        Assert.Equal((DiagnosticCodes.GraderFailed, world.ManifestPath), (error.Code, error.File));
        Assert.True(error.Line > 1);
        Assert.Contains("step 4 of 6", error.Message, StringComparison.Ordinal);
        Assert.Contains("out of luck", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(world.Store, "work", StageNames.Budget), "*", SearchOption.AllDirectories));

        File.WriteAllText(Path.Combine(world.Project, "repaired"), "");
        List<string> said = [];
        CompilerLog log = new(new StringWriter(), LogFormat.Json);
        CompileResult result = (await Compilation.RunAsync(new CompileRequest(world.ManifestPath, new ArtifactStore(world.Store)) { Through = StageNames.Budget }, log, Token))!;
        Assert.False(result.Stages[^1].Cached);
        Assert.Equal(7, int.Parse(File.ReadAllText(Path.Combine(world.Project, "count.txt")))); // 3 steps, the crash, and 3 more: none twice
    }

    [Fact]
    public async Task Rewards_that_are_all_zero_stop_with_one_error_that_names_the_step()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["adapters"]!["sums"]!["budget"]!["steps"] = 30;
        string file = Path.Combine(world.Project, "hopeless.jsonl");
        File.WriteAllText(file, File.ReadAllText(Path.Combine(world.Project, "train.jsonl")).Replace("\"answer\":\"0\"", "\"answer\":\"77\"", StringComparison.Ordinal).Replace("\"answer\":\"1\"", "\"answer\":\"77\"", StringComparison.Ordinal));
        world.Manifest["adapters"]!["sums"]!["budget"]!["data"] = "hopeless.jsonl";
        world.Save();
        ModelSdkException error = await Assert.ThrowsAnyAsync<ModelSdkException>(() => CompilationTests.CompileAsync(world, output: null));
        Assert.Equal(DiagnosticCodes.RewardsFlat, error.Code);
        Assert.Contains("step 10 of 30", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(world.Store, "work", StageNames.Budget), "*", SearchOption.AllDirectories));
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(world.Store, StageNames.Sft)));
    }

    [Fact]
    public async Task A_loss_that_is_no_number_stops_with_one_error_that_names_the_step()
    {
        using TinyWorld world = compiled.Copy();
        world.Manifest["adapters"]!["sums"]!["sft"] = JsonNode.Parse("""{ "steps": 40, "batchSize": 16, "learningRate": 0.02, "checkpointEverySteps": 1 }""");
        string big = Path.Combine(world.Project, "base", "model.safetensors");
        byte[] bytes = File.ReadAllBytes(big);
        // Weights of the last norm near the greatest number: what they scale is infinite.
        int header = (int)BitConverter.ToInt64(bytes, 0);
        JsonNode norm = JsonNode.Parse(System.Text.Encoding.UTF8.GetString(bytes, 8, header))!["model.norm.weight"]!;
        byte[] huge = norm["dtype"]!.GetValue<string>() == "F32" ? BitConverter.GetBytes(3e38f) : BitConverter.GetBytes((ushort)0x7F7F);
        for (int at = norm["data_offsets"]![0]!.GetValue<int>(); at < norm["data_offsets"]![1]!.GetValue<int>(); at += huge.Length)
        {
            huge.CopyTo(bytes, 8 + header + at);
        }

        File.WriteAllBytes(big, bytes);
        world.Save();
        ModelSdkException error = await Assert.ThrowsAnyAsync<ModelSdkException>(() => CompilationTests.CompileAsync(world, output: null));
        Assert.Equal(DiagnosticCodes.LossNotFinite, error.Code);
        Assert.Contains("step 1 of 40", error.Message, StringComparison.Ordinal);
    }

    private async Task<JsonNode> EvalAsync(string data, string[] options)
    {
        (int exitCode, string output, string errors) = await CommandLineTests.RunAsync(["eval", compiled.World.Output, "--data", Path.Combine(compiled.World.Project, data), .. options]);
        Assert.True(exitCode == 0, errors);
        return JsonNode.Parse(output)!;
    }

    private static ModelcProcess Start(TinyWorld world) =>
        ModelcProcess.Start("compile", world.ManifestPath, "--store", world.Store, "--log", "json", "--exit-with-stdin");

    private static int Step(JsonElement message) =>
        ModelcProcess.Text(message, "kind") == "progress" && ModelcProcess.Text(message, "stage") == StageNames.Budget && ModelcProcess.Text(message, "text")!.StartsWith("step ", StringComparison.Ordinal)
            ? int.Parse(ModelcProcess.Text(message, "text")!.Split(' ')[1])
            : 0;
}

/// <summary>The tiny world with every stage, compiled once.</summary>
public sealed class CompiledEveryStage : IAsyncLifetime
{
    internal TinyWorld World { get; } = TinyWorld.WithEveryStage();

    internal CompileResult Result { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Result = await CompilationTests.CompileAsync(World, World.Output);

    public ValueTask DisposeAsync()
    {
        World.Dispose();
        return ValueTask.CompletedTask;
    }

    internal string EvaluationFile(string name) => Directory.GetFiles(Path.Combine(World.Store, StageNames.Evaluate), name, SearchOption.AllDirectories).Single();

    internal EvaluationResults Evaluation() => EvaluationResults.Read(EvaluationFile(EvaluationResults.FileName));

    /// <summary>A world of the same content, with a copy of the filled store.</summary>
    internal TinyWorld Copy() => World.CopyStoreTo(TinyWorld.WithEveryStage());
}
