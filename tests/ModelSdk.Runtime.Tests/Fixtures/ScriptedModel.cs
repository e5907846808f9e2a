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

    /// <summary>Thinks "abc" and answers with one of these digits, each as likely as the others.</summary>
    public static string[][] Voter(params IReadOnlyList<string> answers) =>
        [["\n", "<think>", "a", "b", "c", "</think>", "\n\n"], .. answers.Select(answer => new[] { "\n\n", answer, "<end>" })];

    /// <summary>Loads a model of a script.</summary>
    /// <param name="chains">Tokens that follow each other; a token with several successors in all chains takes one of them at random.</param>
    /// <param name="context">Context of the bundle.</param>
    /// <param name="change">Changes the bundle's manifest.</param>
    /// <param name="heads">Switcher and verifier.</param>
    /// <param name="adapters">Number of adapters.</param>
    /// <param name="prefillChunk">Most prompt tokens of a pass.</param>
    public static async Task<ScriptedModel> Load(
        string[][] chains,
        int context = 256,
        Func<BundleManifest, BundleManifest>? change = null,
        TinyHeads? heads = null,
        int adapters = 1,
        int prefillChunk = 256)
    {
        IEnumerable<(int, int)> script = chains.SelectMany(TinyBundle.Script).Distinct();
        TemporaryFolder folder = new();
        string bundle = TinyBundle.Scripted(folder.Path, script, context, adapters, change, heads);
        return new ScriptedModel(folder, await ReasoningModel.LoadAsync(bundle, new ReasoningModelOptions { Threads = 1, PrefillChunk = prefillChunk }));
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
