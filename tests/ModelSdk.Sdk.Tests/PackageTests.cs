using System.IO.Compression;
using ModelSdk.Compiler.Tests;
using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

/// <summary>The whole way of a user: packages, a project outside the repository, an empty package cache, the real compiler.</summary>
public class PackageTests
{
    [Fact]
    public async Task A_project_outside_the_repository_compiles_a_model_from_the_packages_and_runs()
    {
        using var world = new TinyWorld();
        string feed = world["feed"], app = world.Project;
        await Pack("sdk/ModelSdk", feed);
        await Pack("src/ModelSdk.Runtime", feed, "--no-build");
        await Pack("src/ModelSdk.Manifest", feed, "--no-build");
        CheckPackage(Path.Combine(feed, "ModelSdk.0.1.0.nupkg"));

        // Everything but our packages may come from the folder of this machine, above all libtorch with its 0.6 GB.
        await File.WriteAllTextAsync(Path.Combine(app, "nuget.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{world["packages"]}" /></config>
              <fallbackPackageFolders><clear /><add key="machine" value="{Repository.PackageFolder}" /></fallbackPackageFolders>
              <packageSources><clear /><add key="feed" value="{feed}" /><add key="nuget.org" value="https://api.nuget.org/v3/index.json" protocolVersion="3" /></packageSources>
              <packageSourceMapping>
                <packageSource key="feed"><package pattern="ModelSdk" /><package pattern="ModelSdk.*" /></packageSource>
                <packageSource key="nuget.org"><package pattern="*" /></packageSource>
              </packageSourceMapping>
            </configuration>
            """, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(app, "app.csproj"), """
            <Project Sdk="Microsoft.NET.Sdk">
              <Sdk Name="ModelSdk" Version="0.1.0" />
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
              </PropertyGroup>
              <ItemGroup>
                <ReasoningModel Include="tiny.model.json" />
              </ItemGroup>
            </Project>
            """, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(app, "Program.cs"), """
            using app;
            await using var tiny = await TinyModel.LoadAsync();
            TinyAnswer answer = await tiny.AnswerAsync("3: 1+2?", TinyModel.Adapters.Sums, TinyModel.Budgets.Short);
            Console.WriteLine($"answered by {answer.Adapter} with {answer.Usage.ReasoningTokens <= 16}");
            """, TestContext.Current.CancellationToken);

        (int exitCode, string output, _) = await DotNet.RunAsync(app, ["build", "-nologo", "-nodeReuse:false"], ("MODELSDK_STORE", world.Store));
        Assert.True(exitCode == 0, output);
        Assert.Contains("tiny: sft of adapter 'sums' done", output);

        Assert.Contains(" right with ", output);
        Assert.Contains("; report: ", output);

        string bin = Path.Combine(app, "bin", "Debug", "net10.0");
        Assert.True(File.Exists(Path.Combine(bin, "models", "tiny", "model.json")));

        // Each stage ran in a process of its own, but all of them in this build.
        Assert.DoesNotContain("\"cached\": true", await File.ReadAllTextAsync(Path.Combine(bin, "models", "tiny", "report.json"), TestContext.Current.CancellationToken));
        Assert.DoesNotContain(Directory.EnumerateFiles(bin, "*", SearchOption.AllDirectories), file => file.Contains("torch", StringComparison.OrdinalIgnoreCase));

        (exitCode, output, string error) = await DotNet.RunAsync(app, [Path.Combine(bin, "app.dll")]);
        Assert.True(exitCode == 0, output + error);
        Assert.Contains("answered by sums with True", output);

        // Through `dotnet run`, which shows no messages of its build, a changed model's phases are visible as well.
        world.Manifest["budgets"]!["short"] = 15;
        world.Save();
        (exitCode, output, error) = await DotNet.RunAsync(app, ["run"], ("MODELSDK_STORE", world.Store));
        Assert.True(exitCode == 0, output + error);
        Assert.Contains("answered by sums with True", output);
        Assert.Contains("tiny: sft of adapter 'sums' taken from the store", error);
        Assert.Contains("tiny: bundle done", error);

        (exitCode, output, _) = await DotNet.RunAsync(app, ["build", "-nologo", "-nodeReuse:false", "--no-restore"], ("MODELSDK_STORE", world.Store));
        Assert.True(exitCode == 0, output);
        Assert.DoesNotContain("tiny:", output);
    }

    private static async Task Pack(string project, string feed, params string[] options)
    {
        (int exitCode, string output, _) = await DotNet.RunAsync(Repository.Root, ["pack", project, "-c", Repository.Configuration, "-o", feed, "-nologo", "-nodeReuse:false", "-v:minimal", .. options]);
        Assert.True(exitCode == 0, output);
    }

    private static void CheckPackage(string path)
    {
        Assert.InRange(new FileInfo(path).Length, 1_000_000, 250_000_000);
        using ZipArchive package = ZipFile.OpenRead(path);
        string[] files = [.. package.Entries.Select(entry => entry.FullName)];
        string[] expected =
        [
            "Sdk/Sdk.props", "Sdk/Sdk.targets", "build/ModelSdk.props", "build/ModelSdk.targets", "build/ModelSdk.Versions.props",
            "buildMultiTargeting/ModelSdk.props", "buildMultiTargeting/ModelSdk.targets", "tools/netstandard2.0/ModelSdk.Tasks.dll",
            "analyzers/dotnet/cs/ModelSdk.Generators.dll", "tools/net10.0/any/modelc.dll", "README.md",
            "tools/net10.0/any/runtimes/linux-x64/native/libonnxruntime.so", "tools/net10.0/any/runtimes/win-x64/native/onnxruntime.dll",
            "tools/net10.0/any/runtimes/osx-arm64/native/libonnxruntime.dylib", "tools/net10.0/any/runtimes/linux-x64/native/libLibTorchSharp.so",
        ];
        Assert.Empty(expected.Except(files));
        Assert.DoesNotContain(files, file => file.Contains("torch_cpu", StringComparison.Ordinal) || file.Contains("android", StringComparison.Ordinal));
        Assert.Equal(["analyzers/dotnet/cs/ModelSdk.Generators.dll"], files.Where(file => file.StartsWith("analyzers/", StringComparison.Ordinal)));
    }
}
