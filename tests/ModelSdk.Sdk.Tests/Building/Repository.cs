using System.Reflection;

namespace ModelSdk.Sdk.Tests.Building;

/// <summary>Where the tested files lie.</summary>
internal static class Repository
{
    public static string Root { get; } = Value("Repository");

    public static string FakeCompiler { get; } = Value("FakeCompiler");

    public static string Configuration { get; } = Value("Configuration");

    /// <summary>NuGet's folder of this machine.</summary>
    public static string PackageFolder { get; } = Value("PackageFolder");

    public static string PackageSources { get; } = Path.Combine(Root, "sdk", "ModelSdk");

    /// <summary>The task's assembly beside this test: the build may not lock the one that the repository's build writes.</summary>
    public static string TasksAssembly { get; } = Path.Combine(AppContext.BaseDirectory, "ModelSdk.Tasks.dll");

    private static string Value(string key) =>
        typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
