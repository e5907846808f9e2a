namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>A folder that is removed with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("modelsdk-runtime-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
