using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>One loaded model of random weights that tests share; greedy text of it never ends by itself.</summary>
public sealed class RandomBundle : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();

    public ReasoningModel Model { get; private set; } = null!;

    public string Folder { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        // Ends of turn are ids that the model cannot say, so that texts have the length that is asked for.
        Folder = TinyBundle.Random(_folder.Path, change: bundle => bundle with { EosTokens = [TinyTokenizer.VocabularySize - 1] });
        Model = await ReasoningModel.LoadAsync(Folder, new ReasoningModelOptions { Threads = 1, PrefillChunk = 16 });
    }

    public async ValueTask DisposeAsync()
    {
        await Model.DisposeAsync();
        _folder.Dispose();
    }

    internal static ReasoningRequest Ask(string question, string mode = BundleManifest.BaseMode, int tokens = 24) =>
        ReasoningRequest.FromQuestion(question) with { Mode = mode, MaxTokens = tokens };
}
