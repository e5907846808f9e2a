using ModelSdk.Runtime.Sessions;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// One call: encode what the cache lacks of the prompt, then generate token by token. The base runs the prompt up to the generation
/// prompt; the mode that answers runs the rest (masked LoRA; paper, section 2), so that every mode shares the encoded prompt.
/// </summary>
internal sealed class Generation
{
    private readonly LoadedBundle _model;
    private readonly TokenCache _cache;
    private readonly ReasoningRequest _request;
    private readonly GraphSession _graph;
    private readonly TokenSampler _sampler;
    private readonly OutputSplitter _output;
    private readonly TokenTextStream _text;
    private readonly int[] _one = new int[1];
    private int _undecidedTokens;
    private int _reasoningTokens;
    private int _answerTokens;

    private Generation(LoadedBundle model, TokenCache cache, ReasoningRequest request, int mode, Action<UpdateKind, string>? sink)
    {
        _model = model;
        _cache = cache;
        _request = request;
        _graph = model.Sessions[mode];
        _sampler = new TokenSampler(request.Sampling);
        _output = new OutputSplitter(model.Bundle.Prompt.ThinkOpen, model.Bundle.Prompt.ThinkClose, request.Stop, sink);
        _text = new TokenTextStream(model.Tokenizer);
    }

    private int Generated => _undecidedTokens + _reasoningTokens + _answerTokens;

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
        int reserved = mode == 0 ? 1 : model.ForceAnswerTokens.Length + model.Bundle.AnswerTokens + 1;
        if (prompt.Tokens.Length + reserved > cache.Context)
            throw new PromptTooLongException(prompt.Tokens.Length, reserved, cache.Context);

        Generation generation = new(model, cache, request, mode, sink);
        (int encoded, int reused) = generation.Encode(prompt, cancellationToken);
        (FinishReason finish, bool forced) = generation.Decode(prompt.Tokens.Length, cancellationToken);
        generation._output.Append(generation._text.Flush());
        generation._output.Complete();
        Usage usage = new(
            prompt.Tokens.Length,
            encoded,
            reused,
            generation._reasoningTokens,
            generation._answerTokens + generation._undecidedTokens,
            request.Budget,
            forced);
        return new ReasoningResult(generation._output.Answer, generation._output.Reasoning, generation._graph.Mode, usage, finish);
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

    private (FinishReason Finish, bool Forced) Decode(int promptTokens, CancellationToken cancellationToken)
    {
        int force = _model.ForceAnswerTokens.Length;
        int answer = _model.Bundle.AnswerTokens;
        int room = _cache.Context - promptTokens;
        // The reasoning is cut where the budget ends, or where the context could no longer hold a forced answer.
        int budget = _request.Budget ?? int.MaxValue;
        int reasoningLimit = Math.Min(budget, Math.Max(0, room - force - answer));
        int limit = Math.Min(_request.MaxTokens ?? int.MaxValue, room);
        FinishReason cut = budget <= reasoningLimit ? FinishReason.Budget : FinishReason.Context;
        FinishReason atLimit = _request.MaxTokens <= room ? FinishReason.MaxTokens : FinishReason.Context;
        bool forced = false;

        while (Generated < limit)
        {
            if (Generated >= reasoningLimit && !forced && _cache.Context - _cache.Length > force
                && (_output.Part == OutputPart.Reasoning || _output.InOpeningTag))
            {
                // Cut, then text that forces the answer, then at most answerTokens of it.
                _text.Flush();
                _output.EnterReasoning();
                _output.Append(_model.Bundle.Prompt.ForceAnswer);
                if (_output.Stopped)
                    return (FinishReason.StopText, true);
                _cache.Append(_graph, _model.ForceAnswerTokens, logits: true, cancellationToken);
                forced = true;
                limit = Math.Min(limit, Generated + Math.Min(answer, _cache.Context - _cache.Length));
                atLimit = limit == _request.MaxTokens ? FinishReason.MaxTokens : cut;
            }

            // A budget that ends in the answer lets it go on until it has had as many tokens as a forced one.
            if (!forced && Generated >= budget && _answerTokens >= answer)
                return (FinishReason.Budget, false);

            int token = _sampler.Choose(_cache.Logits[.._model.Vocabulary]);
            if (token < 0)
                throw new InvalidLogitsException(_graph.Mode, _cache.Length - 1);
            if (_model.IsEndOfTurn(token))
                return (forced ? cut : FinishReason.Stop, forced);
            Take(token);
            if (_output.Stopped)
                return (FinishReason.StopText, forced);
            if (Generated < limit)
            {
                _one[0] = token;
                _cache.Append(_graph, _one, logits: true, cancellationToken);
            }
        }

        return (atLimit, forced);
    }

    /// <summary>Adds a generated token to the text and counts it for the part it belongs to; a token that closes the reasoning belongs to the reasoning.</summary>
    private void Take(int token)
    {
        OutputPart before = _output.Part;
        _output.Append(_text.Append(token));
        if (before == OutputPart.Answer)
        {
            _answerTokens++;
        }
        else if (before == OutputPart.Reasoning)
        {
            _reasoningTokens++;
        }
        else
        {
            _undecidedTokens++;
            if (_output.Part == OutputPart.Undecided)
                return;
            if (_output.Reasoning is null)
                _answerTokens += _undecidedTokens;
            else
                _reasoningTokens += _undecidedTokens;
            _undecidedTokens = 0;
        }
    }
}
