using System.Diagnostics;
using Microsoft.Build.Utilities;
using ModelSdk.Sdk.Tests.Building;
using ModelSdk.Tasks;

namespace ModelSdk.Sdk.Tests;

public class CancellationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async System.Threading.Tasks.Task A_cancelled_phase_lets_the_compiler_write_its_checkpoint_and_leaves_no_process(bool lingers)
    {
        using var folder = new TestFolder("app");
        string manifest = folder.Write("tutor.model.json", $$"""{"name":"Tutor","wait":"sft"{{(lingers ? ",\"linger\":true" : "")}}}""");
        using var watcher = new FileSystemWatcher(folder.Path, "waiting.txt") { EnableRaisingEvents = true };
        var waiting = new TaskCompletionSource();
        watcher.Renamed += (_, _) => waiting.TrySetResult();
        var engine = new TestBuildEngine();
        var task = new CompileReasoningModel
        {
            BuildEngine = engine,
            Stage = "sft",
            Model = new TaskItem(manifest, new Dictionary<string, string> { ["BundleFolder"] = Path.Combine(folder.Path, "bundle"), ["StateFile"] = Path.Combine(folder.Path, "tutor") }),
            Compiler = new TaskItem(Repository.FakeCompiler, new Dictionary<string, string> { ["DotNetHost"] = "dotnet", ["CancelTimeout"] = lingers ? "1" : "60" }),
        };

        System.Threading.Tasks.Task<bool> running = System.Threading.Tasks.Task.Run(task.Execute, TestContext.Current.CancellationToken);
        await waiting.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        int compiler = int.Parse(await File.ReadAllTextAsync(Path.Combine(folder.Path, "waiting.txt"), TestContext.Current.CancellationToken));
        task.Cancel();
        task.Cancel();

        Assert.False(await running.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken));
        Assert.Empty(engine.Errors);
        Assert.Equal("saved", await File.ReadAllTextAsync(Path.Combine(folder.Path, "checkpoint.txt"), TestContext.Current.CancellationToken));
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(compiler));
    }

    [Fact]
    public void A_phase_cancelled_before_it_starts_starts_nothing()
    {
        using var folder = new TestFolder("app");
        string manifest = folder.Write("tutor.model.json", """{"name":"Tutor","wait":"sft"}""");
        var engine = new TestBuildEngine();
        var task = new CompileReasoningModel
        {
            BuildEngine = engine,
            Stage = "sft",
            Model = new TaskItem(manifest, new Dictionary<string, string> { ["StateFile"] = Path.Combine(folder.Path, "tutor") }),
            Compiler = new TaskItem(Repository.FakeCompiler, new Dictionary<string, string> { ["DotNetHost"] = "dotnet" }),
        };

        task.Cancel();

        Assert.False(task.Execute());
        Assert.Empty(engine.Errors);
        Assert.False(File.Exists(Path.Combine(folder.Path, "waiting.txt")));
    }
}
