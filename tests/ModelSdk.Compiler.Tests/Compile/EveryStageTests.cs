using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler.Tests.Compile;

[Collection(OneAtATime.Name)]
public sealed class EveryStageTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Everything()
    {
        using TinyWorld world = TinyWorld.WithEveryStage();
        StringWriter text = new();
        try {
        CompileResult? result = await Compilation.RunAsync(new CompileRequest(world.ManifestPath, new ArtifactStore(world.Store)) { Output = world.Output }, new CompilerLog(text, LogFormat.Text), Token);
        Assert.True(result is not null, text.ToString());
        Console.WriteLine(text);
        foreach (StageReport s in result.Stages) Console.WriteLine($"{s.Name} {s.Seconds}");
        string evaluation = Directory.GetFiles(Path.Combine(world.Store, "evaluate"), "evaluation.json", SearchOption.AllDirectories).Single();
        Console.WriteLine(File.ReadAllText(evaluation));
        } finally { Console.WriteLine(text); foreach (string f in Directory.GetFiles(world.Store, "training.json", SearchOption.AllDirectories)) Console.WriteLine(File.ReadAllText(f)); }
    }
}
