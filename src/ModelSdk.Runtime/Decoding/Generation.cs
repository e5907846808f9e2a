using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// One call: encode what the cache lacks of the prompt, then generate token by token. The base runs the prompt up to the generation
/// prompt; the mode that answers runs the rest (masked LoRA; paper, section 2), so that every mode shares the encoded prompt.
/// </summary>
internal sealed class Generation
{
    private readonly LoadedBundle _model;
    private readonly TokenCache _cache;
    private readonly GraphSession _graph;
    private readonly int[] _one = new int[1];

    private Generation(LoadedBundle model, TokenCache cache, int mode)
    {
        _model = model;
        _cache = cache;
        _graph = model.Sessions[mode];
    }

    /// <summary>Answers a request; blocks the calling thread.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cache">What is encoded so far; holds prompt and generated tokens afterwards.</param>
    /// <param name="request">The request.</param>
    /// <param name="sink">Takes text as soon as it is decided, on the calling thread.</param>
    /// <param name="cancellationToken">Checked before each model pass.</param>
    public static ReasoningResult Run(LoadedBundle model, TokenCache cache, ReasoningRequest request, Action<UpdateKind, string>? sink, CancellationToken cancellationToken)
    {
        int mode = model.Sessions.IndexOf(request.Mode ?? model.Bundle.DefaultMode);
        Prompt prompt = Prompt.Create(request, model.Bundle, model.Template, model.Tokenizer);
        // A reasoning mode must be able to close its reasoning and answer; the base may answer in a word.
        int reserved = mode == 0 ? 1 : model.Output.ForceAnswerTokens.Length + model.Bundle.AnswerTokens + 1;
        if (prompt.Tokens.Length + reserved > cache.Context)
            throw new PromptTooLongException(prompt.Tokens.Length, reserved, cache.Context);

        Generation generation = new(model, cache, mode);
        StreamState state = new(model.Output, request.Sampling, cache.Context - prompt.Tokens.Length, request.Budget, request.MaxTokens, request.Stop, sink);
        (int encoded, int reused) = generation.Encode(prompt, cancellationToken);
        generation.Decode(state, cancellationToken);
        Usage usage = new(prompt.Tokens.Length, encoded, reused, state.ReasoningTokens, state.AnswerTokens, request.Budget, state.Forced);
        return new ReasoningResult(state.Answer, state.Reasoning, generation._graph.Mode, usage, state.Finish);
    }

    private (int Encoded, int Reused) Encode(Prompt prompt, CancellationToken cancellationToken)
    {
        ReadOnlySpan<int> tokens = prompt.Tokens;
        // The last token is always run again: its logits choose the first new token.
        int reused = Math.Min(_cache.CommonPrefix(tokens, prompt.Boundary, _graph.Index), tokens.Length - 1);
        _cache.Rewind(reused);
        if (_graph.Index == 0)
        {
            _cache.Append(_graph, tokens[reused..], logits: true, cancellationToken);
            return (tokens.Length - reused, reused);
        }

        int encoded = Math.Max(0, prompt.Boundary - reused);
        if (encoded > 0)
            _cache.Append(_model.Sessions.Base, tokens[reused..prompt.Boundary], logits: false, cancellationToken);
        _cache.Append(_graph, tokens[Math.Max(reused, prompt.Boundary)..], logits: true, cancellationToken);
        return (encoded, reused);
    }

    private void Decode(StreamState state, CancellationToken cancellationToken)
    {
        while (true)
        {
            switch (state.Next(_cache.Logits))
            {
                case StreamAction.End:
                    return;
                case StreamAction.Force:
                    _cache.Append(_graph, _model.Output.ForceAnswerTokens, logits: true, cancellationToken);
                    break;
                case StreamAction.Step:
                    _one[0] = state.Token;
                    _cache.Append(_graph, _one, logits: true, cancellationToken);
                    break;
                default:
                    throw new InvalidLogitsException(_graph.Mode, _cache.Length - 1);
            }
        }
    }
}
