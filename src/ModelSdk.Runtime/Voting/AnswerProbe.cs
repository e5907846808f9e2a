using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Runtime.Voting;

/// <summary>One trial answer in mid-reasoning: greedy tokens behind the text that forces an answer.</summary>
/// <param name="format">What tokens mean.</param>
/// <param name="start">Tokens that the row held before the probe.</param>
/// <param name="next">The token that the stream chose before the probe and still has to run.</param>
internal sealed class AnswerProbe(OutputFormat format, int start, int next)
{
    private readonly TokenSampler _sampler = new(SamplingOptions.Greedy);
    private readonly List<int> _tokens = [];

    /// <summary>Tokens that the row held before the probe.</summary>
    public int Start => start;

    /// <summary>The token that the stream goes on with.</summary>
    public int Next => next;

    /// <summary>Tokens of the answer so far, without the end of turn.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>The whole answer; null when it did not end within the tokens of an answer.</summary>
    public string? Answer { get; private set; }

    /// <summary>Takes the logits behind the last token.</summary>
    /// <returns>The next token to run; null when the probe is over, -1 when the logits are not numbers.</returns>
    public int? Take(ReadOnlySpan<float> logits)
    {
        int token = _sampler.Choose(logits[..format.Vocabulary]);
        if (token < 0)
            return token;
        if (format.IsEnd(token))
        {
            Answer = format.Tokenizer.Decode([.. _tokens]);
            return null;
        }

        _tokens.Add(token);
        return _tokens.Count < format.AnswerTokens ? token : null;
    }
}
