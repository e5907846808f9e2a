using Microsoft.Build.Logging.StructuredLogger;

namespace ModelSdk.Sdk.Tests.Building;

/// <summary>What a build said and did.</summary>
/// <param name="ExitCode">0: it succeeded.</param>
/// <param name="Output">What a terminal showed.</param>
/// <param name="Binlog">Its binary log.</param>
/// <param name="Starts">Each start of the fake compiler.</param>
internal sealed record BuildResult(int ExitCode, string Output, string Binlog, string[] Starts)
{
    private readonly Lazy<Build> log = new(() => BinaryLog.ReadBuild(Binlog));

    /// <summary>Names of the targets that did something, in order.</summary>
    public string[] Targets => [.. log.Value.FindChildrenRecursive<Target>(target => target.Children.Any(child => child is Microsoft.Build.Logging.StructuredLogger.Task)).OrderBy(target => target.StartTime).Select(target => target.Name)];

    public Error[] Errors => [.. log.Value.FindChildrenRecursive<Error>()];

    public Warning[] Warnings => [.. log.Value.FindChildrenRecursive<Warning>()];

    public BuildResult Succeeded()
    {
        Assert.True(ExitCode == 0, Output);
        Assert.Empty(Warnings.Select(warning => warning.Text));
        return this;
    }

    public BuildResult Failed()
    {
        Assert.True(ExitCode != 0, Output);
        return this;
    }
}
