using System.Globalization;
using System.Runtime.CompilerServices;

using Microsoft.Extensions.AI;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Chat;

/// <summary>A compiled model, or a conversation with it, as a chat client; <see cref="ReasoningModel.AsChatClient"/> describes the options.</summary>
internal sealed class ReasoningChatClient : IChatClient
{
    /// <summary>Name of the additional property that holds the token budget.</summary>
    public const string BudgetProperty = "budget";

    /// <summary>Name of the additional property that holds the number of parallel streams.</summary>
    public const string StreamsProperty = "streams";

    /// <summary>Name of a response's additional property that holds the answer's confidence.</summary>
    public const string ConfidenceProperty = "confidence";

    private readonly ReasoningModel _model;
    private readonly BundleManifest _bundle;
    private readonly Func<ReasoningRequest, CancellationToken, IAsyncEnumerable<ReasoningUpdate>> _stream;
    private readonly Func<ReasoningRequest, CancellationToken, Task<ReasoningResult>> _answer;
    private readonly ChatClientMetadata _metadata;

    public ReasoningChatClient(
        ReasoningModel model,
        BundleManifest bundle,
        Func<ReasoningRequest, CancellationToken, IAsyncEnumerable<ReasoningUpdate>> stream,
        Func<ReasoningRequest, CancellationToken, Task<ReasoningResult>> answer)
    {
        _model = model;
        _bundle = bundle;
        _stream = stream;
        _answer = answer;
        _metadata = new ChatClientMetadata("modelsdk", defaultModelId: bundle.DefaultMode);
    }

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ReasoningResult result = await _answer(Request(messages, options), cancellationToken).ConfigureAwait(false);
        List<AIContent> contents = [];
        if (result.Reasoning is not null)
            contents.Add(new TextReasoningContent(result.Reasoning));
        contents.Add(new TextContent(result.Text));
        string id = Guid.NewGuid().ToString("N");
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, contents) { MessageId = id })
        {
            ResponseId = id,
            ModelId = result.Mode,
            CreatedAt = DateTimeOffset.UtcNow,
            FinishReason = Finish(result.Finish),
            Usage = Details(result.Usage),
            RawRepresentation = result,
            AdditionalProperties = Properties(result),
        };
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages,
        ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ReasoningRequest request = Request(messages, options);
        string id = Guid.NewGuid().ToString("N");
        string mode = request.Mode ?? _bundle.DefaultMode;
        await foreach (ReasoningUpdate update in _stream(request, cancellationToken).ConfigureAwait(false))
        {
            List<AIContent> contents = [];
            if (update.Text.Length > 0)
                contents.Add(update.Kind == UpdateKind.Reasoning ? new TextReasoningContent(update.Text) : new TextContent(update.Text));
            if (update.Completed is not null)
                contents.Add(new UsageContent(Details(update.Completed.Usage)));
            yield return new ChatResponseUpdate(ChatRole.Assistant, contents)
            {
                ResponseId = id,
                MessageId = id,
                ModelId = update.Completed?.Mode ?? mode,
                CreatedAt = DateTimeOffset.UtcNow,
                FinishReason = update.Completed is null ? null : Finish(update.Completed.Finish),
                RawRepresentation = update,
                AdditionalProperties = update.Completed is null ? null : Properties(update.Completed),
            };
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null)
            return null;
        if (serviceType == typeof(ChatClientMetadata))
            return _metadata;
        if (serviceType.IsInstanceOfType(this))
            return this;
        return serviceType.IsInstanceOfType(_model) ? _model : null;
    }

    /// <summary>Does nothing: the model belongs to whoever loaded it.</summary>
    public void Dispose()
    {
    }

    private ReasoningRequest Request(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (options?.Tools is { Count: > 0 })
            throw new InvalidRequestException("This model cannot call tools; remove ChatOptions.Tools.");
        ReasoningBudget? budget = Budget(options);
        return new ReasoningRequest
        {
            Turns = Turns(messages, options?.Instructions),
            Mode = options?.ModelId is string id && id != _bundle.Name ? id : null,
            Budget = budget?.Tokens,
            Streams = Streams(options) ?? budget?.Streams ?? 1,
            MaxTokens = options?.MaxOutputTokens,
            Stop = options?.StopSequences is { } stops ? [.. stops] : [],
            Sampling = new SamplingOptions
            {
                Temperature = options?.Temperature ?? 0,
                TopP = options?.TopP ?? 1,
                TopK = options?.TopK ?? 0,
                Seed = options?.Seed,
            },
        };
    }

    private static List<ChatTurn> Turns(IEnumerable<ChatMessage> messages, string? instructions)
    {
        List<ChatTurn> turns = [];
        foreach (ChatMessage message in messages)
        {
            foreach (AIContent content in message.Contents)
            {
                if (content is not (TextContent or TextReasoningContent or UsageContent))
                    throw new InvalidRequestException($"This model reads text only; the messages hold a {content.GetType().Name}.");
            }

            turns.Add(new ChatTurn(message.Role.Value, message.Text));
        }

        if (!string.IsNullOrEmpty(instructions))
        {
            if (turns.Count > 0 && turns[0].Role == "system")
                turns[0] = turns[0] with { Content = $"{instructions}\n{turns[0].Content}" };
            else
                turns.Insert(0, new ChatTurn("system", instructions));
        }

        return turns;
    }

    private ReasoningBudget? Budget(ChatOptions? options)
    {
        if (options?.AdditionalProperties?.TryGetValue(BudgetProperty, out object? value) is not true || value is null)
            return null;
        if (value is ReasoningBudget budget)
            return budget;
        if (Number(value) is int tokens)
            return new ReasoningBudget("", tokens);
        if (_bundle.Budgets.FirstOrDefault(b => b.Name == value as string) is BundleBudget named)
            return new ReasoningBudget(named.Name, named.Tokens, named.Streams);
        throw new InvalidRequestException(
            $"The budget \"{value}\" is no number of tokens and no budget of the model; its budgets are: {string.Join(", ", _bundle.Budgets.Select(b => b.Name))}.");
    }

    private static int? Streams(ChatOptions? options)
    {
        if (options?.AdditionalProperties?.TryGetValue(StreamsProperty, out object? value) is not true || value is null)
            return null;
        return Number(value) ?? throw new InvalidRequestException($"The additional property \"{StreamsProperty}\" is \"{value}\"; it must be a number of parallel streams.");
    }

    private static int? Number(object value) => value switch
    {
        int number => number,
        long number when number is >= int.MinValue and <= int.MaxValue => (int)number,
        string text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) => number,
        _ => null,
    };

    private static AdditionalPropertiesDictionary? Properties(ReasoningResult result) =>
        result.Confidence is double confidence ? new() { [ConfidenceProperty] = confidence } : null;

    private static ChatFinishReason Finish(FinishReason reason) =>
        reason is FinishReason.Stop or FinishReason.StopText ? ChatFinishReason.Stop : ChatFinishReason.Length;

    private static UsageDetails Details(Usage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        CachedInputTokenCount = usage.ReusedPromptTokens,
        OutputTokenCount = usage.GeneratedTokens,
        ReasoningTokenCount = usage.ReasoningTokens,
        TotalTokenCount = usage.PromptTokens + usage.GeneratedTokens,
    };
}
