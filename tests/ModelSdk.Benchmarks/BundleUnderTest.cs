namespace ModelSdk.Benchmarks;

/// <summary>The bundle that is measured. Its folder stands in the environment, which reaches jobs that run in a process of their own.</summary>
internal static class BundleUnderTest
{
    private const string Variable = "MODELSDK_BUNDLE";

    public static string Folder
    {
        get => Environment.GetEnvironmentVariable(Variable) ?? "";
        set => Environment.SetEnvironmentVariable(Variable, Path.GetFullPath(value));
    }
}
