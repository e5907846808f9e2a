using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc plan MANIFEST</c>: what a compile would run, and about how much time, disk and memory that takes.</summary>
internal static class PlanCommand
{
    public static Command Create()
    {
        Argument<string> manifest = Options.Manifest();
        Option<string?> store = Options.Store();
        Option<string?> json = Options.Json();
        Command command = new("plan", "Show what a compile would run, with time, disk and memory.") { manifest, store, json };
        command.SetAction(parsed =>
        {
            CompilerLog log = Options.TextLog();
            return CommandLine.GuardAsync(log, exitWithStandardInput: false, cancellationToken =>
            {
                CompileInputs? inputs = CompileInputs.Read(parsed.GetValue(manifest)!, log, cancellationToken);
                if (inputs is null)
                {
                    return Task.CompletedTask;
                }

                ArtifactStore opened = Options.OpenStore(parsed.GetValue(store));
                CompilePlan plan = CompilePlan.Create(inputs);
                IReadOnlyList<StageEstimate> estimates = [.. plan.Stages.Select(stage => StageEstimate.For(stage, inputs, opened))];
                string? target = parsed.GetValue(json);
                if (target != "-")
                {
                    Print(opened, estimates);
                }

                JsonOutput.Write(target, ToJson(plan, opened, estimates));
                return Task.CompletedTask;
            });
        });
        return command;
    }

    private static void Print(ArtifactStore store, IReadOnlyList<StageEstimate> estimates)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        Console.WriteLine($"store {store.Root}");
        Console.WriteLine($"{"stage",-24} {"state",-12} {"time",8} {"disk",10} {"memory",10}");
        foreach (StageEstimate estimate in estimates)
        {
            Console.WriteLine(string.Create(
                culture,
                $"{CompilerLog.Title(estimate.Stage.Stage, estimate.Stage.Adapter),-24} {(estimate.Cached ? "in the store" : "to make"),-12} {Time(estimate),8} {estimate.DiskBytes / 1e6,7:F1} MB {estimate.MemoryBytes / 1e6,7:F0} MB"));
        }

        double seconds = estimates.Where(e => !e.Cached).Sum(e => e.Seconds);
        Console.WriteLine(string.Create(culture, $"about {seconds:F0} s to go; figures of stages to make are estimates, no downloads"));
    }

    private static string Time(StageEstimate estimate) => estimate.Cached ? "-" : string.Create(CultureInfo.InvariantCulture, $"{estimate.Seconds:F0} s");

    private static JsonObject ToJson(CompilePlan plan, ArtifactStore store, IReadOnlyList<StageEstimate> estimates) => new()
    {
        ["inputs"] = plan.InputsDigest,
        ["store"] = store.Root,
        ["downloadBytes"] = 0,
        ["seconds"] = Math.Round(estimates.Where(e => !e.Cached).Sum(e => e.Seconds), 1),
        ["stages"] = new JsonArray([.. estimates.Select(e => (JsonNode)new JsonObject
        {
            ["name"] = e.Stage.Stage,
            ["adapter"] = e.Stage.Adapter,
            ["key"] = e.Stage.Key.Hash,
            ["cached"] = e.Cached,
            ["seconds"] = Math.Round(e.Seconds, 1),
            ["diskBytes"] = e.DiskBytes,
            ["memoryBytes"] = e.MemoryBytes,
        })]),
    };
}
