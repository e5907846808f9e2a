namespace ModelSdk.Benchmarks;

/// <summary>The bundle that is measured.</summary>
internal static class BundleUnderTest
{
    public static string Folder { get; set; } = Environment.GetEnvironmentVariable("MODELSDK_BUNDLE") ?? "";
}
