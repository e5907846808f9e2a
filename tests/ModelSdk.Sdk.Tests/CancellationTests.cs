using System.Diagnostics;
using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

public class CancellationTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cancelled_build_lets_the_compiler_write_its_checkpoint_and_leaves_no_process(bool lingers)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Ctrl+C is sent as a signal.");
        using var project = new TestProject();
        project.Write("tutor.model.json", $$"""{"name":"Tutor","wait":"sft"{{(lingers ? ",\"linger\":true" : "")}}}""");
        using var watcher = new FileSystemWatcher(project.Folder, "waiting.txt") { EnableRaisingEvents = true };
        var waiting = new TaskCompletionSource();
        watcher.Changed += (_, _) => waiting.TrySetResult();

        using Process build = project.Start("-p:ModelSdkCancelTimeout=2");
        Task<string> output = build.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await waiting.Task.WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        int compiler = int.Parse(File.ReadAllText(project["waiting.txt"]));
        using (Process signal = Process.Start("kill", ["-INT", build.Id.ToString()])) await signal.WaitForExitAsync(TestContext.Current.CancellationToken);
        await build.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.NotEqual(0, build.ExitCode);
        Assert.DoesNotContain("error MDL", await output);
        Assert.Equal("saved", File.ReadAllText(project["checkpoint.txt"]));
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(compiler));
        Assert.Empty(project.Beside());
    }
}
