namespace ModelSdk.Sdk.Tests.Building;

/// <summary>
/// A project in a temporary folder that uses the package's props and targets with the fake compiler. Without a
/// reference to the runtime or the generator, so that a build takes as little as it can.
/// </summary>
internal sealed class TestProject : IDisposable
{
    private readonly string root;
    private int builds;

    /// <param name="folder">Name of the project's folder, for tests of odd paths.</param>
    public TestProject(string folder = "app")
    {
        root = Directory.CreateTempSubdirectory("modelsdk-").FullName;
        Folder = Path.Combine(root, folder);
        Write("Directory.Build.props", $"""
            <Project>
              <Import Project="{Repository.PackageSources}/build/ModelSdk.props" />
              <PropertyGroup>
                <ModelSdkCompilerPath>{Repository.FakeCompiler}</ModelSdkCompilerPath>
                <_ModelSdkTasksAssembly>{Repository.TasksAssembly}</_ModelSdkTasksAssembly>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <UseAppHost>false</UseAppHost>
                <GenerateAssemblyInfo>false</GenerateAssemblyInfo>
              </PropertyGroup>
            </Project>
            """);
        Write("Directory.Build.targets", $"""
            <Project>
              <Import Project="{Repository.PackageSources}/build/ModelSdk.targets" />
            </Project>
            """);
        Project("""<ItemGroup><ReasoningModel Include="*.model.json" /></ItemGroup>""");
        Write("Program.cs", "return 0;");
    }

    public string Folder { get; }

    /// <summary>Each start of the fake compiler, as "verb manifest stage ...".</summary>
    public string[] Starts => File.Exists(LogFile) ? File.ReadAllLines(LogFile) : [];

    private string LogFile => Path.Combine(root, "starts.txt");

    public string this[string path] => Path.Combine(Folder, path);

    /// <summary>Files of the app's models folder, relative to it.</summary>
    public string[] Beside(string output = "bin/Debug/net10.0") => Files(Path.Combine(output, "models"));

    public string[] Files(string folder) => !Directory.Exists(this[folder]) ? [] :
        [.. Directory.EnumerateFiles(this[folder], "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(this[folder], file).Replace('\\', '/')).Order(StringComparer.Ordinal)];

    /// <summary>Writes the project file with this content besides the usual.</summary>
    public void Project(string content, string name = "app.csproj") => Write(name, $"""<Project Sdk="Microsoft.NET.Sdk">{content}</Project>""");

    public void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(this[path])!);
        File.WriteAllText(this[path], text);
    }

    /// <summary>Builds; restores only when nothing has been restored yet.</summary>
    public async Task<BuildResult> Build(params string[] arguments)
    {
        string binlog = Path.Combine(root, $"{++builds}.binlog");
        if (File.Exists(LogFile)) File.Delete(LogFile);
        (int exitCode, string output, string error) = await DotNet.RunAsync(Folder, Arguments(binlog, arguments), Environment);
        return new BuildResult(exitCode, output + error, binlog, Starts);
    }

    public void Dispose() => Directory.Delete(root, recursive: true);

    private (string Name, string Value)[] Environment => [("FAKE_MODELC_LOG", LogFile)];

    private List<string> Arguments(string binlog, string[] arguments)
    {
        List<string> all = arguments is ["publish", ..] ? [.. arguments] : ["build", .. arguments];
        all.AddRange(["-nologo", "-m:1", "-nodeReuse:false", "-v:minimal", "-bl:" + binlog]);
        if (Directory.Exists(this["obj"])) all.Add("--no-restore");
        return all;
    }
}
