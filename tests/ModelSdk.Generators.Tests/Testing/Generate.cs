using System.Collections.Immutable;
using System.Reflection;

using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace ModelSdk.Generators.Tests.Testing;

/// <summary>Runs the generator: <c>Generate.From(manifest)</c>, and then asserts on what came out.</summary>
internal sealed class Generate
{
    private static readonly string[] Referenced =
    [
        "Microsoft.Extensions.AI.Abstractions", "Microsoft.Extensions.DependencyInjection", "Microsoft.Extensions.DependencyInjection.Abstractions",
        "ModelSdk.Runtime", "System.Collections", "System.ComponentModel", "System.Console", "System.Linq", "System.Private.CoreLib", "System.Runtime", "System.Threading",
    ];

    /// <summary>What an app sees: the framework's assemblies that the client and the tests' code need, and the runtime.</summary>
    private static readonly Lazy<ImmutableArray<MetadataReference>> References = new(() =>
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path => Referenced.Contains(Path.GetFileNameWithoutExtension(path)))
            .Select(path => MetadataReference.CreateFromFile(path)),
    ]);

    private GeneratorDriver driver;
    private CSharpCompilation compilation;
    private Compilation output;
    private ImmutableArray<TestFile> files;

    private Generate(ImmutableArray<TestFile> files, string? rootNamespace, string code)
    {
        this.files = files;
        var parseOptions = new CSharpParseOptions(LanguageVersion.CSharp14, DocumentationMode.Diagnose);
        compilation = CSharpCompilation.Create(
            "App",
            [CSharpSyntaxTree.ParseText(code, parseOptions.WithDocumentationMode(DocumentationMode.Parse), "Code.cs")],
            References.Value,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable, deterministic: true));
        driver = CSharpGeneratorDriver.Create(
            [new ReasoningModelGenerator().AsSourceGenerator()],
            files,
            parseOptions,
            new TestOptions(rootNamespace),
            new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true));
        output = compilation;
        Run();
    }

    public static Generate From(string manifest, string path = "/app/tutor.model.json", string? rootNamespace = "App", string code = "") =>
        From([new TestFile(path, manifest)], rootNamespace, code);

    public static Generate From(ImmutableArray<TestFile> files, string? rootNamespace = "App", string code = "") => new(files, rootNamespace, code);

    public ImmutableArray<Diagnostic> Diagnostics { get; private set; }

    /// <summary>What the driver recorded of the last run.</summary>
    public GeneratorRunResult Result => driver.GetRunResult().Results.Single();

    /// <summary>Generated sources by hint name.</summary>
    public IReadOnlyDictionary<string, string> Sources =>
        Result.GeneratedSources.IsDefault
            ? new Dictionary<string, string>()
            : Result.GeneratedSources.ToDictionary(s => s.HintName, s => s.SourceText.ToString());

    /// <summary>The one generated source.</summary>
    public string Source => Assert.Single(Sources).Value;

    /// <summary>Runs again with another manifest at the path of the first file.</summary>
    public Generate Edit(string manifest) => Replace(files[0], new TestFile(files[0].Path, manifest, files[0].Kind));

    public Generate Replace(TestFile old, TestFile file)
    {
        driver = driver.ReplaceAdditionalText(old, file);
        files = files.Replace(old, file);
        return Run();
    }

    public Generate Add(TestFile file)
    {
        driver = driver.AddAdditionalTexts([file]);
        files = files.Add(file);
        return Run();
    }

    /// <summary>Runs again with another C# file in the project.</summary>
    public Generate EditCode(string code)
    {
        SyntaxTree tree = compilation.SyntaxTrees.Single();
        compilation = compilation.ReplaceSyntaxTree(tree, CSharpSyntaxTree.ParseText(code, (CSharpParseOptions)tree.Options, tree.FilePath));
        return Run();
    }

    /// <summary>Asserts that all code compiles without a warning (about missing comments too, in generated code), and loads it.</summary>
    public Assembly Compiles()
    {
        Assert.Empty(Diagnostics);
        using var stream = new MemoryStream();
        var emitted = output.Emit(stream);
        Assert.Empty(emitted.Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning));
        return Assembly.Load(stream.ToArray());
    }

    /// <summary>Errors and warnings of compiling code and generated code.</summary>
    public IEnumerable<Diagnostic> CompilerDiagnostics => output.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning);

    /// <summary>Asserts the one finding, and that no other came of it.</summary>
    public Generate Reports(string code, string span)
    {
        Diagnostic diagnostic = Assert.Single(Diagnostics);
        Assert.Equal(code, diagnostic.Id);
        Assert.Equal(span, diagnostic.Location.GetLineSpan().ToString());
        return this;
    }

    /// <summary>Why a step's outputs are what they are, in the last run.</summary>
    public IEnumerable<IncrementalStepRunReason> Reasons(string step) =>
        Result.TrackedSteps[step].SelectMany(s => s.Outputs).Select(o => o.Reason);

    /// <summary>Why generated files are what they are, in the last run.</summary>
    public IEnumerable<IncrementalStepRunReason> OutputReasons =>
        Result.TrackedOutputSteps.SelectMany(s => s.Value).SelectMany(s => s.Outputs).Select(o => o.Reason);

    private Generate Run()
    {
        driver = driver.RunGeneratorsAndUpdateCompilation(compilation, out output, out ImmutableArray<Diagnostic> diagnostics);
        Assert.Null(Result.Exception);
        Diagnostics = diagnostics;
        return this;
    }
}
