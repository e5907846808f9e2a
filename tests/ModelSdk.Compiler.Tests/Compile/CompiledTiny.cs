using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>The tiny world, compiled once from an empty store without disturbance. Tests that change files use a world of their own.</summary>
public sealed class CompiledTiny : IAsyncLifetime
{
    internal TinyWorld World { get; } = new();

    internal CompileResult Result { get; private set; } = null!;

    internal string Digest => Result.BundleDigest!;

    public async ValueTask InitializeAsync()
    {
        StringWriter text = new();
        CompilerLog log = new(text, LogFormat.Text);
        CompileRequest request = new(World.ManifestPath, new ArtifactStore(World.Store)) { Output = World.Output };
        Result = await Compilation.RunAsync(request, log, TestContext.Current.CancellationToken) ?? throw new InvalidOperationException(text.ToString());
    }

    public ValueTask DisposeAsync()
    {
        World.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A world of the same content, with a copy of the filled store.</summary>
    internal TinyWorld Copy() => World.CopyStoreTo(new TinyWorld());
}

/// <summary>Everything that trains or decodes runs in this collection, one test after another: two torches at once slow each other down many times.</summary>
[CollectionDefinition(Name)]
public sealed class OneAtATime : ICollectionFixture<CompiledTiny>
{
    public const string Name = "compile";
}
