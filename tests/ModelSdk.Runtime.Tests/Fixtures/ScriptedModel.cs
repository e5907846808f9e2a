using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>A loaded model that says what a script tells it.</summary>
internal sealed class ScriptedModel : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;

    private ScriptedModel(TemporaryFolder folder, ReasoningModel model)
    {
        _folder = folder;
        Model = model;
    }

    public ReasoningModel Model { get; }

    /// <summary>Thinks "abc", answers "42" and ends its turn.</summary>
    public static string[] Thinker => ["\n", "<think>", "a", "b", "c", "</think>", "\n\n", "4", "2", "<end>"];

    /// <summary>Thinks without end; once the reasoning is closed for it, answers "7" and ends its turn.</summary>
    public static string[][] Endless => [["\n", "<think>", "x", "y", "z", "x"], ["\n\n", "7", "<end>"]];

    public static async Task<ScriptedModel> Load(string[][] chains, int context = 256, Func<BundleManifest, BundleManifest>? change = null)
    {
        Dictionary<int, int> script = [];
        foreach (string[] chain in chains)
        {
            foreach ((int token, int next) in TinyBundle.Script(chain))
                script[token] = next;
        }

        TemporaryFolder folder = new();
        string bundle = TinyBundle.Scripted(folder.Path, script, context, change);
        return new ScriptedModel(folder, await ReasoningModel.LoadAsync(bundle, new ReasoningModelOptions { Threads = 1 }));
    }

    public Task<ReasoningResult> Answer(Func<ReasoningRequest, ReasoningRequest>? change = null)
    {
        ReasoningRequest request = ReasoningRequest.FromQuestion("q");
        return Model.AnswerAsync(change?.Invoke(request) ?? request, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Model.DisposeAsync();
        _folder.Dispose();
    }
}
