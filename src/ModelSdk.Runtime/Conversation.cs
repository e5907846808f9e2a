using Microsoft.Extensions.AI;

namespace ModelSdk.Runtime;

/// <summary>Calls that share one KV cache: what is already encoded is not run again, also across modes.</summary>
public sealed class Conversation : IAsyncDisposable
{
    /// <summary>Answers a question; the part of the prompt that is in the cache is not run again.</summary>
    public Task<ReasoningResult> AnswerAsync(ReasoningRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Answers a question piece by piece.</summary>
    public IAsyncEnumerable<ReasoningUpdate> StreamAsync(ReasoningRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    /// <summary>Tokens that the graph of a mode has run since the conversation started.</summary>
    public long TokensRun(string mode) => throw new NotSupportedException();

    /// <summary>This conversation as a chat client.</summary>
    public IChatClient AsChatClient() => throw new NotSupportedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotSupportedException();
}
