using System.Diagnostics.CodeAnalysis;

using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace ModelSdk.Generators.Tests.Testing;

/// <summary>What MSBuild would tell the compiler: the root namespace, and the kind of each additional file.</summary>
internal sealed class TestOptions(string? rootNamespace) : AnalyzerConfigOptionsProvider
{
    public override AnalyzerConfigOptions GlobalOptions { get; } = new Values("build_property.RootNamespace", rootNamespace);

    public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => new Values("", null);

    public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) =>
        new Values("build_metadata.AdditionalFiles.ModelSdkKind", (textFile as TestFile)?.Kind);

    private sealed class Values(string name, string? content) : AnalyzerConfigOptions
    {
        public override bool TryGetValue(string key, [NotNullWhen(true)] out string? value)
        {
            value = key == name ? content : null;
            return value is not null;
        }
    }
}
