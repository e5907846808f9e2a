using System.Text;

using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace ModelSdk.Generators.Tests.Testing;

/// <summary>An additional file of a test, with the kind that its metadata gives.</summary>
internal sealed class TestFile(string path, string? text, string kind = "ReasoningModel") : AdditionalText
{
    public override string Path { get; } = path;

    public string Kind { get; } = kind;

    public override SourceText? GetText(CancellationToken cancellationToken = default) => text is null ? null : SourceText.From(text, Encoding.UTF8);

    public static TestFile Lock(string path, string text) => new(path, text, "ReasoningModelLock");
}
