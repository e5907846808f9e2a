using System.Security.Cryptography;

using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Voting;

/// <summary>
/// Several streams from one encoded prompt (or a single one that is probed), decoded as one batch, and their vote (paper, section 5). Each starts as a copy of the prompt's keys and values;
/// one pass runs a token of every running stream. A finished stream is verified on its own keys and values and leaves its place to the next one.
/// </summary>
/// <remarks>
/// Memory: for each stream that runs at the same time keys and values of a whole context, layers x 2 x KVH x context x head size x 1 byte (4 where
/// the cache is not quantized), of which only what is written is taken from the operating system; all of it is freed when the call ends.
/// </remarks>
internal sealed class ParallelGeneration : IDisposable
{
    private readonly LoadedBundle _model;
    private readonly ReasoningRequest _request;
    private readonly EncodedPrompt _prompt;
    private readonly TokenCache _source;
    private readonly Action<UpdateKind, string>? _sink;
    private readonly SamplingOptions _sampling;
    private readonly int _concurrency;
    private readonly int _context;
    private readonly BatchCache _rows;
    private readonly List<VotingStream> _started = [];
    private readonly List<VotingStream> _running = [];
    private readonly VoteTally _tally = new();
    private int _passes;

    private ParallelGeneration(LoadedBundle model, TokenCache source, ReasoningRequest request, EncodedPrompt prompt, Action<UpdateKind, string>? sink)
    {
        _model = model;
        _source = source;
        _sink = sink;
        _request = request;
        _prompt = prompt;
        // Streams derive their seeds from one number, so a call without a seed draws it here.
        _sampling = request.Sampling with { Seed = request.Sampling.Seed ?? BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8)) };
        _concurrency = request.Voting.Concurrency == 0 ? request.Streams : Math.Min(request.Voting.Concurrency, request.Streams);
        _context = source.Context - (prompt.Verifier?.Tokens.Length ?? 0);
        try
        {
            _rows = new BatchCache(model.Bundle.Architecture, _concurrency, source.Context, source.Chunk, model.Bundle.Cache);
        }
        catch (OutOfMemoryException)
        {
            throw new InvalidRequestException(
                $"There is no memory for the keys and values of {_concurrency} streams of {source.Context} tokens at once. Let fewer run at the same time (VotingOptions.Concurrency), or ask for fewer.");
        }
    }

    /// <summary>Decodes all streams and counts their votes.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cache">Holds the prompt, and nothing else afterwards.</param>
    /// <param name="request">The request.</param>
    /// <param name="prompt">The encoded prompt.</param>
    /// <param name="sink">Takes the winner's text when the vote has ended; of a single stream as soon as it is decided.</param>
    /// <param name="cancellationToken">Checked before each model pass.</param>
    public static ReasoningResult Run(
        LoadedBundle model,
        TokenCache cache,
        ReasoningRequest request,
        EncodedPrompt prompt,
        Action<UpdateKind, string>? sink,
        CancellationToken cancellationToken)
    {
        using ParallelGeneration generation = new(model, cache, request, prompt, sink);
        generation.Decode(cancellationToken);
        ReasoningResult result = generation.Count();
        if (request.Streams == 1)
            return result;
        if (!string.IsNullOrEmpty(result.Reasoning))
            sink?.Invoke(UpdateKind.Reasoning, result.Reasoning);
        if (result.Text.Length > 0)
            sink?.Invoke(UpdateKind.Answer, result.Text);
        return result;
    }

    public void Dispose() => _rows.Dispose();

    private void Decode(CancellationToken cancellationToken)
    {
        while (true)
        {
            while (_started.Count < _request.Streams && _running.Count < _concurrency)
                Start();
            if (_running.Count == 0)
                return;
            for (int i = 0; i < _running.Count;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (Advance(_running[i]))
                {
                    i++;
                    continue;
                }

                _rows.Remove(_running[i].Row);
                _running.RemoveAt(i);
                int remaining = _running.Count + _request.Streams - _started.Count;
                if (_request.Voting.StopWhenDecided > 0 && DecidedRule.IsDecided(_tally.Votes(), remaining, _request.Voting.StopWhenDecided))
                    return;
            }

            cancellationToken.ThrowIfCancellationRequested();
            _rows.Step(_prompt.Graph);
            _passes++;
            _source.CountRun(_prompt.Graph.Index, _running.Count);
        }
    }

    private void Start()
    {
        int number = _started.Count;
        bool single = _request.Streams == 1;
        StreamState state = new(
            _model.Output,
            single ? _sampling : _sampling.ForStream(number),
            _context - _prompt.Tokens,
            _request.Budget,
            _request.MaxTokens,
            _request.Stop,
            single ? _sink : null)
        {
            Recorder = _prompt.Verifier?.Recorder(),
        };
        VotingStream stream = new(number, _rows.Add(_source), state, _model.Output, _model.Bundle.Answer, _request.Voting, _context);
        _started.Add(stream);
        _running.Add(stream);
    }

    /// <summary>Brings a stream to its next token; false when it is over.</summary>
    private bool Advance(VotingStream stream)
    {
        while (true)
        {
            StreamAction action = stream.Next(_rows, out int[] append);
            // The last hope for an answer goes on, however unsure it is; a finished answer has been paid for.
            if (action == StreamAction.Step && stream.Unsure && (_running.Count > 1 || _started.Count < _request.Streams || _tally.Voters > 0))
                return false;
            switch (action)
            {
                case StreamAction.Step:
                    return true;
                case StreamAction.Force:
                    Append(stream.Row, append);
                    _passes++;
                    break;
                case StreamAction.End:
                    Vote(stream);
                    return false;
                default:
                    throw new InvalidLogitsException(_prompt.Graph.Mode, stream.Row.Length - 1);
            }
        }
    }

    private void Vote(VotingStream stream)
    {
        stream.Finished = true;
        stream.Answer = Ballot.Of(_model.Bundle.Answer, stream.State);
        if (stream.Answer is null)
            return;
        if (_prompt.Verifier is AnswerVerifier verifier)
        {
            if (stream.State.Unrun is int last)
                Append(stream.Row, [last]);
            float logit = _rows.Score(verifier.Graph, stream.Row, verifier.Tokens);
            stream.Weight = verifier.Probability(logit, stream.Row.Length + verifier.Tokens.Length - 1, stream.State.Confidence);
        }

        _tally.Add(stream.Answer, stream.Weight);
    }

    private void Append(BatchRow row, int[] tokens)
    {
        _rows.Append(_prompt.Graph, row, tokens);
        _source.CountRun(_prompt.Graph.Index, tokens.Length);
    }

    private ReasoningResult Count()
    {
        // Counted again in the order of the streams, so that the order in which they ended decides no tie.
        VoteTally tally = new();
        foreach (VotingStream stream in _started)
            tally.Add(stream.Answer, stream.Weight);
        IReadOnlyList<Vote> votes = tally.Votes();
        VotingStream winner = votes.Count == 0
            ? _started.First(s => s.Finished)
            : _started.Where(s => VoteTally.Same(s.Answer, votes[0].Text)).MaxBy(s => s.Weight)!;
        Usage usage = new(
            _prompt.Tokens,
            _prompt.Encoded,
            _prompt.Reused,
            _started.Sum(s => s.State.ReasoningTokens),
            _started.Sum(s => s.State.AnswerTokens),
            _request.Budget,
            winner.State.Forced)
        {
            Streams = _started.Count,
            ProbeTokens = _started.Sum(s => s.ProbeTokens),
            Passes = _passes,
        };
        ReasoningResult result = new(winner.State.Answer, winner.State.Reasoning, _prompt.Graph.Mode, usage, winner.State.Finish) { Routing = _prompt.Routing };
        // One stream that nobody judges is no vote.
        return _request.Streams == 1 && _prompt.Verifier is null
            ? result
            : result with { Confidence = votes.Count > 0 ? votes[0].Confidence : 0, Votes = votes };
    }
}
