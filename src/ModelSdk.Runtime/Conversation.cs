using Microsoft.Extensions.AI;

using ModelSdk.Runtime.Chat;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime;

/// <summary>
/// Calls that share one KV cache. Whatever a call's prompt has in common with what is encoded already is not run again, also when the mode
/// changes: after a chat answer, reasoning about the same prompt runs only the tokens of the generation prompt.
/// </summary>
/// <remarks>
/// Each request gives the whole conversation, as for <see cref="ReasoningModel.AnswerAsync(ReasoningRequest, CancellationToken)"/>. Earlier answers are part of the prompt
/// and therefore run by the base: what an adapter generated is encoded again by the base when it comes back as history.
/// Calls on one conversation run one after the other.
/// </remarks>
public sealed class Conversation : IAsyncDisposable
{
    private readonly ReasoningModel _model;
    private readonly TokenCache _cache;
    private readonly CallGate _gate = new();
    private readonly SemaphoreSlim _turn = new(1, 1);

    internal Conversation(ReasoningModel model, TokenCache cache)
    {
        _model = model;
        _cache = cache;
    }

    /// <summary>Tokens whose keys and values are held.</summary>
    public int CachedTokens => _cache.Length;

    /// <summary>Answers a question; what is encoded already is not run again.</summary>
    /// <param name="request">The whole conversation, mode, budget and sampling.</param>
    /// <param name="cancellationToken">Stops between tokens; what was encoded until then is kept.</param>
    /// <exception cref="ObjectDisposedException">The conversation or its model was disposed.</exception>
    public Task<ReasoningResult> AnswerAsync(ReasoningRequest request, CancellationToken cancellationToken = default) =>
        AnswerAsync(request, sink: null, cancellationToken);

    /// <summary>Answers a question piece by piece; see <see cref="ReasoningModel.StreamAsync"/>.</summary>
    /// <param name="request">The whole conversation, mode, budget and sampling.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    public IAsyncEnumerable<ReasoningUpdate> StreamAsync(ReasoningRequest request, CancellationToken cancellationToken = default) =>
        WorkerStream.Run((sink, stop) => AnswerAsync(request, sink, stop), cancellationToken);

    /// <summary>Tokens that the graph of a mode has run since the conversation started, prompt and generated tokens alike.</summary>
    /// <param name="mode">An adapter's name or "base".</param>
    /// <exception cref="UnknownAdapterException">There is no such mode.</exception>
    public long TokensRun(string mode) => _cache.TokensRun(_model.Loaded.Sessions.IndexOf(mode));

    /// <summary>This conversation as a chat client: a chat that goes on encodes only what is new. Options as for <see cref="ReasoningModel.AsChatClient"/>.</summary>
    public IChatClient AsChatClient() => new ReasoningChatClient(_model, _model.Bundle, StreamAsync, AnswerAsync);

    /// <summary>Waits for a running call, then frees the cache.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!await _gate.CloseAsync().ConfigureAwait(false))
            return;
        _model.Forget(this);
        Free();
        _turn.Dispose();
    }

    /// <summary>Frees the cache; no call runs any more. Conversation and model may both do so, even at the same time.</summary>
    internal void Free()
    {
        lock (_cache)
            _cache.Dispose();
    }

    /// <summary>As the public method; the sink takes text between two tokens, on the worker.</summary>
    internal async Task<ReasoningResult> AnswerAsync(ReasoningRequest request, Action<UpdateKind, string>? sink, CancellationToken cancellationToken)
    {
        _gate.Enter(this);
        try
        {
            await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                return await _model.RunAsync(request, _cache, sink, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                _turn.Release();
            }
        }
        finally
        {
            _gate.Exit();
        }
    }
}
