using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using ModelSdk.Generators.Model;
using ModelSdk.Manifest;

namespace ModelSdk.Generators;

/// <summary>
/// Generates a typed client for each manifest among the additional files: texts in, equatable models between, source and
/// diagnostics out. It reads neither the compilation nor the disk, so an edit of C# code costs nothing.
/// </summary>
/// <remarks>
/// Additional files have the metadata <c>ModelSdkKind</c>: <c>ReasoningModel</c> for a manifest,
/// <c>ReasoningModelLock</c> for a lock file.
/// </remarks>
[Generator(LanguageNames.CSharp)]
public sealed class ReasoningModelGenerator : IIncrementalGenerator
{
    private const string KindOption = "build_metadata.AdditionalFiles.ModelSdkKind";
    private const string ManifestKind = "ReasoningModel";
    private const string LockKind = "ReasoningModelLock";
    private const string RootNamespaceOption = "build_property.RootNamespace";

    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        IncrementalValuesProvider<ParsedManifest> manifests = Texts(context, ManifestKind)
            .WithTrackingName(TrackingNames.ManifestTexts)
            .Select(static (text, _) => ClientParser.ParseManifest(text.Path, text.Text))
            .WithTrackingName(TrackingNames.ParsedManifests);

        IncrementalValueProvider<EquatableArray<ParsedLock>> locks = Texts(context, LockKind)
            .Select(static (text, _) => ClientParser.ParseLock(text.Path, text.Text))
            .Collect()
            .Select(static (all, _) => new EquatableArray<ParsedLock>(all))
            .WithTrackingName(TrackingNames.ParsedLocks);

        IncrementalValueProvider<string> rootNamespace = context.AnalyzerConfigOptionsProvider
            .Select(static (options, _) => options.GlobalOptions.TryGetValue(RootNamespaceOption, out string? value) ? value : "")
            .WithTrackingName(TrackingNames.RootNamespace);

        IncrementalValueProvider<EquatableArray<ParsedManifest>> resolved = manifests
            .Collect()
            .Select(static (all, _) => ClientParser.ResolveDuplicates(all))
            .WithTrackingName(TrackingNames.ResolvedManifests);

        IncrementalValuesProvider<ClientSource> sources = resolved
            .Combine(locks)
            .Combine(rootNamespace)
            .SelectMany(static (all, _) => ClientParser.Sources(all.Left.Left, all.Left.Right, all.Right))
            .WithTrackingName(TrackingNames.ClientSources);

        IncrementalValuesProvider<ManifestDiagnostic> diagnostics = resolved
            .Combine(locks)
            .SelectMany(static (all, _) => all.Left.SelectMany(m => m.Diagnostics).Concat(all.Right.SelectMany(l => l.Diagnostics)))
            .WithTrackingName(TrackingNames.Diagnostics);

        context.RegisterSourceOutput(sources, static (output, source) =>
            output.AddSource(source.Client.ClassName + ".g.cs", SourceText.From(ClientEmitter.Emit(source), System.Text.Encoding.UTF8)));
        context.RegisterSourceOutput(diagnostics, static (output, diagnostic) =>
            output.ReportDiagnostic(Descriptors.ToDiagnostic(diagnostic)));
    }

    private static IncrementalValuesProvider<(string Path, string? Text)> Texts(IncrementalGeneratorInitializationContext context, string kind) =>
        context.AdditionalTextsProvider
            .Combine(context.AnalyzerConfigOptionsProvider)
            .Where(pair => pair.Right.GetOptions(pair.Left).TryGetValue(KindOption, out string? value) && value == kind)
            .Select(static (pair, cancellation) => (pair.Left.Path, pair.Left.GetText(cancellation)?.ToString()));
}
