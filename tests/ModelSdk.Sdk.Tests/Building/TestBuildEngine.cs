using System.Collections;
using System.Collections.Concurrent;
using Microsoft.Build.Framework;

namespace ModelSdk.Sdk.Tests.Building;

/// <summary>The build around a task that is run by itself.</summary>
internal sealed class TestBuildEngine : IBuildEngine
{
    public ConcurrentQueue<BuildErrorEventArgs> Errors { get; } = [];

    public ConcurrentQueue<string?> Messages { get; } = [];

    public bool ContinueOnError => false;

    public int LineNumberOfTaskNode => 0;

    public int ColumnNumberOfTaskNode => 0;

    public string ProjectFileOfTaskNode => "test.proj";

    public bool BuildProjectFile(string projectFileName, string[] targetNames, IDictionary globalProperties, IDictionary targetOutputs) => false;

    public void LogCustomEvent(CustomBuildEventArgs e)
    {
    }

    public void LogErrorEvent(BuildErrorEventArgs e) => Errors.Enqueue(e);

    public void LogMessageEvent(BuildMessageEventArgs e) => Messages.Enqueue(e.Message);

    public void LogWarningEvent(BuildWarningEventArgs e) => Messages.Enqueue(e.Message);
}
