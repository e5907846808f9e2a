using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>One loaded model of random weights that tests share; greedy text of it never ends by itself.</summary>
public class RandomBundle : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();

    protected virtual CacheFormat Cache => CacheFormat.None;

    public ReasoningModel Model { get; private set; } = null!;

    public string Folder { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        // Ends of turn are ids that the model cannot say, so that texts have the length that is asked for.
        Folder = TinyBundle.Random(_folder.Path, cache: Cache, change: bundle => bundle with { EosTokens = [TinyTokenizer.VocabularySize - 1] });
        Model = await ReasoningModel.LoadAsync(Folder, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 });
    }

    public async ValueTask DisposeAsync()
    {
        await Model.DisposeAsync();
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    internal static ReasoningRequest Ask(string question, string mode = BundleManifest.BaseMode, int tokens = 24) =>
        ReasoningRequest.FromQuestion(question) with { Mode = mode, MaxTokens = tokens };
}

/// <summary>The same weights with keys and values in 8 bits.</summary>
public sealed class Int8Bundle : RandomBundle
{
    protected override CacheFormat Cache => CacheFormat.Int8;
}

/// <summary>The same weights with keys and values in 4 bits.</summary>
public sealed class Int4Bundle : RandomBundle
{
    protected override CacheFormat Cache => CacheFormat.Int4;
}
