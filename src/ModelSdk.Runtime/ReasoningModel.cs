using Microsoft.Extensions.AI;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Chat;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime;

/// <summary>
/// A compiled model, loaded: the base and its adapters over one memory-mapped copy of the weights. Safe for concurrent calls; each call
/// encodes its whole prompt, so its result does not depend on others. <see cref="StartConversation"/> keeps what is encoded between calls.
/// </summary>
public sealed class ReasoningModel : IAsyncDisposable
{
    /// <summary>Streams beyond this are a mistake: each holds keys and values, and the gain of a vote flattens long before (paper, section 5).</summary>
    private const int MaxStreams = 1024;

    private readonly LoadedBundle _loaded;
    private readonly ReasoningModelOptions _options;
    private readonly CallGate _gate = new();
    private readonly SemaphoreSlim _turns;
    private readonly Lock _lock = new();
    private readonly Stack<TokenCache> _caches = [];
    private readonly HashSet<Conversation> _conversations = [];

    private ReasoningModel(LoadedBundle loaded, ReasoningModelOptions options)
    {
        _loaded = loaded;
        _options = options;
        _turns = new SemaphoreSlim(options.MaxConcurrentCalls, options.MaxConcurrentCalls);
    }

    /// <summary>What the model consists of: adapters, budgets, answer type, measured accuracy.</summary>
    public BundleManifest Bundle => _loaded.Bundle;

    internal LoadedBundle Loaded => _loaded;

    /// <summary>Checks and loads a bundle on a worker thread.</summary>
    /// <param name="bundleFolder">The folder that holds model.json.</param>
    /// <param name="options">Settings; null = the defaults.</param>
    /// <param name="cancellationToken">Stops the check of the files.</param>
    /// <exception cref="BundleException">The bundle is missing, damaged, tampered with or of another version.</exception>
    /// <exception cref="ModelFormatException">The bundle's tokenizer files cannot be read.</exception>
    public static Task<ReasoningModel> LoadAsync(string bundleFolder, ReasoningModelOptions? options = null, CancellationToken cancellationToken = default) =>
        LoadAsync(bundleFolder, options, contract: null, cancellationToken);

    internal static Task<ReasoningModel> LoadAsync(string bundleFolder, ReasoningModelOptions? options, BundleContract? contract, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(bundleFolder);
        options ??= new ReasoningModelOptions();
        if (options.Threads < 1 || options.MaxConcurrentCalls < 1 || options.PrefillChunk < 1)
            throw new InvalidRequestException("Threads, MaxConcurrentCalls and PrefillChunk must each be 1 or more.");
        return Task.Run(
            () =>
            {
                BundleManifest bundle = BundleManifest.Read(bundleFolder);
                contract?.Check(bundle, bundleFolder);
                return new ReasoningModel(LoadedBundle.Load(bundleFolder, bundle, options, cancellationToken), options);
            },
            cancellationToken);
    }

    /// <summary>Answers a question. The calling thread is not blocked.</summary>
    /// <param name="request">Conversation, mode, budget and sampling.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <exception cref="PromptTooLongException">The prompt leaves no room for an answer.</exception>
    /// <exception cref="UnknownAdapterException">The mode is no adapter of the bundle.</exception>
    /// <exception cref="InvalidRequestException">A value of the request is out of range, or the mode is "auto" and the bundle has no switcher.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Task<ReasoningResult> AnswerAsync(ReasoningRequest request, CancellationToken cancellationToken = default) =>
        AnswerAsync(request, sink: null, cancellationToken);

    /// <summary>
    /// Answers a question piece by piece. The generation runs on a worker; leaving the loop stops it. Of several streams nobody knows the winner
    /// before the vote has ended, so reasoning and answer of the winning stream come then, in one piece each.
    /// </summary>
    /// <param name="request">Conversation, mode, budget and sampling.</param>
    /// <param name="cancellationToken">Stops between tokens.</param>
    /// <returns>Texts of reasoning and answer; the last update holds the whole result. Exceptions as for <see cref="AnswerAsync(ReasoningRequest, CancellationToken)"/>, from the loop.</returns>
    public IAsyncEnumerable<ReasoningUpdate> StreamAsync(ReasoningRequest request, CancellationToken cancellationToken = default) =>
        WorkerStream.Run((sink, stop) => AnswerAsync(request, sink, stop), cancellationToken);

    /// <summary>Starts a conversation that keeps its KV cache between calls and modes. It holds memory until it or the model is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public Conversation StartConversation()
    {
        _gate.Enter(this);
        try
        {
            Conversation conversation = new(this, NewCache());
            lock (_lock)
                _conversations.Add(conversation);
            return conversation;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>This model as a chat client of Microsoft.Extensions.AI. Disposing the client leaves the model loaded.</summary>
    /// <remarks>
    /// Used options: Temperature (none = greedy), TopP, TopK, Seed, MaxOutputTokens, StopSequences, Instructions (put in front of the system message),
    /// ModelId (the mode: an adapter's name, "base" or "auto"; none, or the model's own name, means the default mode),
    /// AdditionalProperties["budget"] (a number of tokens, or a budget's name, which brings its streams) and AdditionalProperties["streams"] (a number of parallel
    /// streams). Reasoning comes as TextReasoningContent; reasoning in earlier messages is left out of the prompt. A response's AdditionalProperties hold "confidence"
    /// where there is one; votes and routing are in the <see cref="ReasoningResult"/> that is its RawRepresentation. Tools and contents other than text are
    /// refused with <see cref="InvalidRequestException"/>.
    /// </remarks>
    public IChatClient AsChatClient() => new ReasoningChatClient(this, Bundle, StreamAsync, AnswerAsync);

    /// <summary>Refuses further calls, waits for those that run, then frees sessions, caches and weights.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!await _gate.CloseAsync().ConfigureAwait(false))
            return;
        Conversation[] conversations;
        lock (_lock)
            conversations = [.. _conversations];
        foreach (Conversation conversation in conversations)
            conversation.Free();
        foreach (TokenCache cache in _caches)
            cache.Dispose();
        _loaded.Dispose();
        _turns.Dispose();
    }

    /// <summary>Runs a request on a cache that a conversation holds.</summary>
    internal async Task<ReasoningResult> RunAsync(ReasoningRequest request, TokenCache? cache, Action<UpdateKind, string>? sink, CancellationToken cancellationToken)
    {
        Validate(request);
        _gate.Enter(this);
        try
        {
            await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                TokenCache used = cache ?? Rent();
                try
                {
                    return await Task.Run(() => Generation.Run(_loaded, used, request, sink, cancellationToken), cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    if (cache is null)
                        Return(used);
                }
            }
            finally
            {
                _turns.Release();
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Forgets a conversation that was disposed.</summary>
    internal void Forget(Conversation conversation)
    {
        lock (_lock)
            _conversations.Remove(conversation);
    }

    private Task<ReasoningResult> AnswerAsync(ReasoningRequest request, Action<UpdateKind, string>? sink, CancellationToken cancellationToken) =>
        RunAsync(request, cache: null, sink, cancellationToken);

    /// <summary>Refuses a request that no model could answer.</summary>
    /// <exception cref="InvalidRequestException">A setting is out of range.</exception>
    internal static void Validate(ReasoningRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Turns.Count == 0)
            throw new InvalidRequestException("The request has no turns; give at least the user's message.");
        foreach (Text.ChatTurn turn in request.Turns)
        {
            if (turn.Role is not ("system" or "user" or "assistant"))
                throw new InvalidRequestException($"The role \"{turn.Role}\" is not known; use system, user or assistant.");
        }

        if (request.Budget < 1)
            throw new InvalidRequestException($"The budget is {request.Budget} tokens; it must be 1 or more, or null for none.");
        if (request.MaxTokens < 1)
            throw new InvalidRequestException($"MaxTokens is {request.MaxTokens}; it must be 1 or more, or null for as many as the context holds.");
        if (request.DraftTokens is < 0 or > ReasoningRequest.MaxDraftTokens)
            throw new InvalidRequestException($"DraftTokens is {request.DraftTokens}; it must be 0 (off) to {ReasoningRequest.MaxDraftTokens}.");
        if (request.Streams is < 1 or > MaxStreams)
            throw new InvalidRequestException($"The request asks for {request.Streams} streams; it must be 1 to {MaxStreams}.");
        if (request.SwitcherThreshold is double threshold && !(threshold >= 0 && threshold <= 1))
            throw new InvalidRequestException($"The switcher's threshold is {threshold}; it must be a probability, 0 (always reason) to 1, or null for the model's own.");
        Validate(request.Voting);
        for (int i = 0; i < request.Stop.Count; i++)
        {
            if (string.IsNullOrEmpty(request.Stop[i]))
                throw new InvalidRequestException("A stop text is empty; it would end every answer at once.");
        }
    }

    private static void Validate(VotingOptions voting)
    {
        if (!(voting.StopWhenDecided >= 0 && voting.StopWhenDecided <= 1))
            throw new InvalidRequestException($"StopWhenDecided is {voting.StopWhenDecided}; it must be 0 (never) to 1 (when the winner cannot change).");
        if (voting.DropBelow is double below && !(below >= 0 && below <= 1))
            throw new InvalidRequestException($"DropBelow is {below}; it must be a mean probability, 0 to 1, or null to drop no stream.");
        if (voting.DropWindow < 1)
            throw new InvalidRequestException($"DropWindow is {voting.DropWindow} tokens; it must be 1 or more.");
        if (voting.ProbeStable < 0)
            throw new InvalidRequestException($"ProbeStable is {voting.ProbeStable}; it must be 0 (no probes) or more.");
        if (voting.Concurrency < 0)
            throw new InvalidRequestException($"Concurrency is {voting.Concurrency}; it must be 0 (all streams at once) or more.");
    }

    /// <summary>A cache for one call. There are never more than calls that may run at once, as each is taken and returned within one.</summary>
    private TokenCache Rent()
    {
        lock (_lock)
        {
            if (_caches.TryPop(out TokenCache? cache))
            {
                cache.Rewind(0);
                return cache;
            }
        }

        return NewCache();
    }

    private void Return(TokenCache cache)
    {
        lock (_lock)
            _caches.Push(cache);
    }

    private TokenCache NewCache() => new(Bundle.Architecture, Bundle.Context, _options.PrefillChunk, _loaded.Sessions.Modes.Count, Bundle.Cache);
}
