namespace ModelSdk.Sdk.Tests.Building;

/// <summary>A temporary folder of a given name.</summary>
internal sealed class TestFolder : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("modelsdk-").FullName;

    public TestFolder(string name)
    {
        Path = System.IO.Path.Combine(root, name);
        Directory.CreateDirectory(Path);
    }

    public string Path { get; }

    public string Write(string name, string text)
    {
        string file = System.IO.Path.Combine(Path, name);
        File.WriteAllText(file, text);
        return file;
    }

    public void Dispose() => Directory.Delete(root, recursive: true);
}
