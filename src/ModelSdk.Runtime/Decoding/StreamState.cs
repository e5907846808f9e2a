using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Decoding;

/// <summary>What a sequence needs next.</summary>
internal enum StreamAction
{
    /// <summary>It has ended; <see cref="StreamState.Finish"/> says why.</summary>
    End,

    /// <summary>The token <see cref="StreamState.Token"/> is to be run.</summary>
    Step,

    /// <summary>The tokens of the text that forces an answer are to be run.</summary>
    Force,

    /// <summary>The logits are not numbers; nothing was chosen.</summary>
    Invalid,
}

/// <summary>
/// Where one sequence stands: chooses its tokens, splits its text and cuts it at its budget. It is told logits and says what to run, so that
/// one call at a time and many rows of a batch follow the same rules.
/// </summary>
internal sealed class StreamState
{
    private readonly OutputFormat _format;
    private readonly TokenSampler _sampler;
    private readonly OutputSplitter _output;
    private readonly TokenTextStream _text;
    private readonly int _budget;
    private readonly int _reasoningLimit;
    private readonly FinishReason _cut;
    private readonly int? _maxTokens;
    private readonly int _room;
    private int _limit;
    private FinishReason _atLimit;
    private int _undecidedTokens;
    private int _answerTokens;

    /// <summary>Begins a sequence.</summary>
    /// <param name="format">What tokens mean.</param>
    /// <param name="sampling">How tokens are chosen.</param>
    /// <param name="room">Tokens that fit behind the prompt.</param>
    /// <param name="budget">Generated tokens after which the answer is forced; null = none.</param>
    /// <param name="maxTokens">Most tokens to generate; null = as many as there is room for.</param>
    /// <param name="stop">Texts that end the answer.</param>
    /// <param name="sink">Takes text as soon as it is decided.</param>
    public StreamState(
        OutputFormat format,
        SamplingOptions sampling,
        int room,
        int? budget = null,
        int? maxTokens = null,
        IReadOnlyList<string>? stop = null,
        Action<UpdateKind, string>? sink = null)
    {
        _format = format;
        _sampler = new TokenSampler(sampling);
        _output = new OutputSplitter(format.Prompt.ThinkOpen, format.Prompt.ThinkClose, stop ?? [], sink);
        _text = new TokenTextStream(format.Tokenizer);
        _room = room;
        _maxTokens = maxTokens;
        _budget = budget ?? int.MaxValue;
        // The reasoning is cut where the budget ends, or where the context could no longer hold a forced answer.
        _reasoningLimit = Math.Min(_budget, Math.Max(0, room - format.ForceAnswerTokens.Length - format.AnswerTokens));
        _limit = Math.Min(maxTokens ?? int.MaxValue, room);
        _cut = _budget <= _reasoningLimit ? FinishReason.Budget : FinishReason.Context;
        _atLimit = maxTokens <= room ? FinishReason.MaxTokens : FinishReason.Context;
    }

    /// <summary>The token that the last call chose: to be run, or the sequence's last; -1 when it chose none.</summary>
    public int Token { get; private set; } = -1;

    /// <summary>The last token of a sequence that ended without running it; null where there is none, as behind an end of turn.</summary>
    public int? Unrun => Token >= 0 && !Ended ? Token : null;

    /// <summary>Whether the model ended its turn.</summary>
    public bool Ended { get; private set; }

    /// <summary>Whether the reasoning was cut and the answer forced.</summary>
    public bool Forced { get; private set; }

    /// <summary>Why it ended.</summary>
    public FinishReason Finish { get; private set; }

    /// <summary>Generated tokens of the reasoning block.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>Generated tokens of the answer, and those of a text of which nothing is known yet.</summary>
    public int AnswerTokens => _answerTokens + _undecidedTokens;

    /// <summary>All generated tokens.</summary>
    public int Generated => _undecidedTokens + ReasoningTokens + _answerTokens;

    /// <summary>The text that the last generated token added; empty while it is part of a character.</summary>
    public string LastText { get; private set; } = "";

    /// <summary>Where the text stands.</summary>
    public OutputPart Part => _output.Part;

    /// <summary>Keeps how sure the model was of the tokens it chose; null where nobody asks.</summary>
    public ConfidenceRecorder? Recorder { get; init; }

    /// <summary>How sure the model was of the tokens it chose; all 0 without a <see cref="Recorder"/>.</summary>
    public SequenceConfidence Confidence => Recorder?.Value ?? default;

    /// <summary>Text of the reasoning so far; null when there is no reasoning block.</summary>
    public string? Reasoning => _output.Reasoning;

    /// <summary>The answer so far.</summary>
    public string Answer => _output.Answer;

    /// <summary>Takes the logits behind the last token that was run and decides what follows.</summary>
    /// <param name="logits">[V].</param>
    public StreamAction Next(ReadOnlySpan<float> logits)
    {
        Token = -1;
        if (Generated >= _limit)
            return End(_atLimit);
        int force = _format.ForceAnswerTokens.Length;
        if (Generated >= _reasoningLimit && !Forced && _room - Generated > force && (_output.Part == OutputPart.Reasoning || _output.InOpeningTag))
        {
            // Cut, then text that forces the answer, then at most answerTokens of it.
            _text.Flush();
            _output.EnterReasoning();
            _output.Append(_format.Prompt.ForceAnswer);
            Forced = true;
            if (_output.Stopped)
                return End(FinishReason.StopText);
            _limit = Math.Min(_limit, Generated + Math.Min(_format.AnswerTokens, _room - Generated - force));
            _atLimit = _limit == _maxTokens ? FinishReason.MaxTokens : _cut;
            return StreamAction.Force;
        }

        // A budget that ends in the answer lets it go on until it has had as many tokens as a forced one.
        if (!Forced && Generated >= _budget && _answerTokens >= _format.AnswerTokens)
            return End(FinishReason.Budget);

        Token = _sampler.Choose(logits[.._format.Vocabulary]);
        if (Token < 0)
            return StreamAction.Invalid;
        Recorder?.Add(Token, logits);
        if (_format.IsEnd(Token))
        {
            Ended = true;
            return End(Forced ? _cut : FinishReason.Stop);
        }

        Take(Token);
        if (_output.Stopped)
            return End(FinishReason.StopText);
        return Generated < _limit ? StreamAction.Step : End(_atLimit);
    }

    /// <summary>Ends the reasoning with an answer that was found by forcing one: the forcing text and these tokens follow what was generated so far.</summary>
    /// <param name="answer">Tokens of the answer, without the end of turn.</param>
    public void Settle(ReadOnlySpan<int> answer)
    {
        _text.Flush();
        _output.EnterReasoning();
        _output.Append(_format.Prompt.ForceAnswer);
        Forced = true;
        foreach (int token in answer)
            Take(token);
        Token = -1;
        End(FinishReason.Stable);
    }

    private StreamAction End(FinishReason finish)
    {
        Finish = finish;
        _output.Append(_text.Flush());
        _output.Complete();
        return StreamAction.End;
    }

    /// <summary>Adds a generated token to the text and counts it for the part it belongs to; a token that closes the reasoning belongs to the reasoning.</summary>
    private void Take(int token)
    {
        OutputPart before = _output.Part;
        LastText = _text.Append(token);
        _output.Append(LastText);
        if (before == OutputPart.Answer)
        {
            _answerTokens++;
        }
        else if (before == OutputPart.Reasoning)
        {
            ReasoningTokens++;
        }
        else
        {
            _undecidedTokens++;
            if (_output.Part == OutputPart.Undecided)
                return;
            if (_output.Reasoning is null)
                _answerTokens += _undecidedTokens;
            else
                ReasoningTokens += _undecidedTokens;
            _undecidedTokens = 0;
        }
    }
}
