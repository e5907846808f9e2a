using System.Reflection;

namespace ModelSdk.Compiler;

/// <summary>The version of modelc.</summary>
internal static class CompilerVersion
{
    /// <summary>For example <c>0.1.0</c>; without the source revision, which would change bundles that are the same.</summary>
    public static string Text { get; } =
        typeof(CompilerVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
