using Microsoft.Extensions.AI;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime;

/// <summary>A compiled model, loaded: the base and its adapters over one copy of the weights. Safe for concurrent calls.</summary>
public sealed class ReasoningModel : IAsyncDisposable
{
    /// <summary>What the model consists of.</summary>
    public BundleManifest Bundle => throw new NotSupportedException();

    /// <summary>Loads a bundle.</summary>
    public static Task<ReasoningModel> LoadAsync(string bundleFolder, ReasoningModelOptions? options = null, CancellationToken cancellationToken = default) =>
        LoadAsync(bundleFolder, options, contract: null, cancellationToken);

    internal static Task<ReasoningModel> LoadAsync(string bundleFolder, ReasoningModelOptions? options, BundleContract? contract, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Answers a question.</summary>
    public Task<ReasoningResult> AnswerAsync(ReasoningRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Answers a question piece by piece.</summary>
    public IAsyncEnumerable<ReasoningUpdate> StreamAsync(ReasoningRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Starts a conversation that keeps its KV cache between calls and modes.</summary>
    public Conversation StartConversation() => throw new NotSupportedException();

    /// <summary>This model as a chat client of Microsoft.Extensions.AI.</summary>
    public IChatClient AsChatClient() => throw new NotSupportedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
