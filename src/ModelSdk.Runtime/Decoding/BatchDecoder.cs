using System.Runtime.ExceptionServices;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// Samples from many prompts at once. Each prompt is encoded once by the base and once continued with the generation prompt by the mode that
/// answers; its samples begin as copies of that. As soon as a sequence ends, the next one takes its row.
/// </summary>
/// <remarks>
/// The same prompts, options and adapter give the same sequences, bit for bit, whatever the number of rows and workers: no row's numbers depend on
/// another's, and every sequence has a random generator of its own. Workers take prompts as they become free.
/// </remarks>
internal sealed class BatchDecoder : IDisposable
{
    /// <summary>
    /// Rows of one worker that gave the most tokens a second on a model of 1.4M parameters on 2 cores (4 to 64 were tried): with more, the rows' keys and
    /// values no longer fit the core's cache.
    /// </summary>
    public const int DefaultRows = 16;

    private readonly OutputFormat _format;
    private readonly Worker[] _workers;

    /// <summary>Allocates the caches.</summary>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="format">What tokens mean.</param>
    /// <param name="encoder">The graph that encodes prompts, index 0.</param>
    /// <param name="decoder">The graph of the mode that answers, index 0 or above; may be <paramref name="encoder"/>.</param>
    /// <param name="context">Tokens that a sequence can have, prompt included.</param>
    /// <param name="rows">Rows of one worker.</param>
    /// <param name="workers">Threads that run batches of their own. With sessions of one thread each: the number of processors.</param>
    /// <param name="chunk">Most prompt tokens of one pass.</param>
    /// <param name="verifier">Judges each finished answer on its own keys and values (<see cref="BatchSequence.Score"/>); null judges none.</param>
    /// <param name="cache">How keys and values are stored; the bundle's.</param>
    public BatchDecoder(TransformerConfig config, OutputFormat format, GraphSession encoder, GraphSession decoder, int context, int rows, int workers, int chunk = 256, AnswerVerifier? verifier = null, CacheFormat cache = CacheFormat.None)
    {
        _format = format;
        _workers = new Worker[workers];
        for (int i = 0; i < workers; i++)
            _workers[i] = new Worker(config, format, encoder, decoder, context, rows, chunk, verifier, cache);
    }

    /// <summary>Generates all samples of all prompts.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="options">How they are answered.</param>
    /// <param name="progress">Told about once a step, from any worker's thread, one call at a time.</param>
    /// <param name="cancellationToken">Checked before each step.</param>
    /// <returns>The sequences, by prompt and sample.</returns>
    /// <exception cref="PromptTooLongException">A prompt leaves no room for a forced answer in the context.</exception>
    /// <exception cref="InvalidLogitsException">The model computed logits that are not numbers.</exception>
    public IReadOnlyList<BatchSequence> Run(IReadOnlyList<BatchPrompt> prompts, BatchOptions options, Action<BatchProgress>? progress, CancellationToken cancellationToken)
    {
        Check(prompts, options);
        int[] first = new int[prompts.Count + 1];
        for (int i = 0; i < prompts.Count; i++)
            first[i + 1] = first[i] + prompts[i].Samples;
        BatchSequence[] sequences = new BatchSequence[first[^1]];
        Tally tally = new(sequences.Length, progress);
        int taken = -1;
        int Take() => Interlocked.Increment(ref taken);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Exception?[] failures = new Exception?[_workers.Length];
        Parallel.For(0, _workers.Length, new ParallelOptions { MaxDegreeOfParallelism = _workers.Length }, w =>
        {
            try
            {
                _workers[w].Run(prompts, Take, options, (sequence, prompt, sample) => sequences[first[prompt] + sample] = sequence, tally, stop.Token);
            }
#pragma warning disable CA1031 // Thrown again below, once every worker has stopped.
            catch (Exception e)
#pragma warning restore CA1031
            {
                failures[w] = e;
                stop.Cancel();
            }
        });

        cancellationToken.ThrowIfCancellationRequested();
        // The error that stopped the others, not their being stopped.
        Exception? failure = failures.FirstOrDefault(f => f is not null and not OperationCanceledException) ?? failures.FirstOrDefault(f => f is not null);
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);
        return sequences;
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers)
            worker.Dispose();
    }

    private void Check(IReadOnlyList<BatchPrompt> prompts, BatchOptions options)
    {
        if (options.GenerationPrompt.Length == 0)
            throw new InvalidRequestException("The generation prompt is empty; a sequence needs a token to begin with.");
        if (options.MaxTokens < 1)
            throw new InvalidRequestException($"MaxTokens is {options.MaxTokens}; it must be 1 or more.");
        _ = new TokenSampler(options.Sampling);
        foreach (BatchPrompt prompt in prompts)
        {
            if (prompt.Samples < 0 || prompt.Budget < 1 || prompt.MaxTokens < 1)
                throw new InvalidRequestException($"A prompt asks for {prompt.Samples} samples with a budget of {prompt.Budget?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "none"}; samples must be 0 or more, a budget 1 or more.");
            int tokens = prompt.Tokens.Length + options.GenerationPrompt.Length;
            int reserved = _format.ForceAnswerTokens.Length + _format.AnswerTokens + 1;
            if (tokens + reserved > _workers[0].Context)
                throw new PromptTooLongException(tokens, reserved, _workers[0].Context);
        }
    }

    /// <summary>Counts what all workers did.</summary>
    private sealed class Tally(int sequences, Action<BatchProgress>? progress)
    {
        private readonly Lock _lock = new();
        private int _finished;
        private long _tokens;

        public void Add(int finished, int tokens)
        {
            lock (_lock)
            {
                _finished += finished;
                _tokens += tokens;
                progress?.Invoke(new BatchProgress(_finished, sequences, _tokens));
            }
        }
    }

    /// <summary>A sequence in a row.</summary>
    private sealed record Live(int Prompt, int Sample, BatchRow Row, StreamState State, SequenceRecorder Recorder);

    /// <summary>One thread with a cache of its own.</summary>
    private sealed class Worker(TransformerConfig config, OutputFormat format, GraphSession encoder, GraphSession decoder, int context, int rows, int chunk, AnswerVerifier? verifier, CacheFormat cache) : IDisposable
    {
        private readonly TokenCache _prompt = new(config, context, chunk, Math.Max(encoder.Index, decoder.Index) + 1, cache);
        private readonly BatchCache _rows = new(config, rows, context, chunk, cache);
        private readonly List<Live> _live = [];
        private readonly float[] _scratch = new float[config.VocabularySize];

        /// <summary>Tokens that a sequence can have; the verification prompt needs the others.</summary>
        public int Context { get; } = context - (verifier?.Tokens.Length ?? 0);

        public void Run(IReadOnlyList<BatchPrompt> prompts, Func<int> take, BatchOptions options, Action<BatchSequence, int, int> done, Tally tally, CancellationToken cancellationToken)
        {
            try
            {
                IEnumerator<(int Prompt, int Sample)> waiting = Samples(prompts, take).GetEnumerator();
                bool more = waiting.MoveNext();
                while (true)
                {
                    while (more && _live.Count < rows)
                    {
                        Start(prompts, waiting.Current, options, cancellationToken);
                        more = waiting.MoveNext();
                    }

                    if (_live.Count == 0)
                        return;
                    int finished = 0;
                    int running = _live.Count;
                    for (int i = _live.Count - 1; i >= 0; i--)
                    {
                        if (Advance(_live[i]))
                            continue;
                        Live live = _live[i];
                        done(live.Recorder.Sequence(live.Prompt, live.Sample, live.State) with { Score = Judge(live), Confidence = live.State.Confidence }, live.Prompt, live.Sample);
                        _rows.Remove(live.Row);
                        _live[i] = _live[^1];
                        _live.RemoveAt(_live.Count - 1);
                        finished++;
                    }

                    tally.Add(finished, running);
                    cancellationToken.ThrowIfCancellationRequested();
                    _rows.Step(decoder);
                }
            }
            finally
            {
                _live.Clear();
                _rows.Clear();
            }
        }

        public void Dispose()
        {
            _rows.Dispose();
            _prompt.Dispose();
        }

        private static IEnumerable<(int Prompt, int Sample)> Samples(IReadOnlyList<BatchPrompt> prompts, Func<int> take)
        {
            for (int prompt = take(); prompt < prompts.Count; prompt = take())
            {
                for (int sample = 0; sample < prompts[prompt].Samples; sample++)
                    yield return (prompt, sample);
            }
        }

        private void Start(IReadOnlyList<BatchPrompt> prompts, (int Prompt, int Sample) place, BatchOptions options, CancellationToken cancellationToken)
        {
            BatchPrompt prompt = prompts[place.Prompt];
            if (place.Sample == 0)
            {
                _prompt.Rewind(0);
                if (prompt.Tokens.Length > 0)
                    _prompt.Append(encoder, prompt.Tokens, logits: false, cancellationToken);
                _prompt.Append(decoder, options.GenerationPrompt, logits: true, cancellationToken);
            }

            SamplingOptions sampling = options.Sampling with { Seed = prompt.SeedOf(place.Sample) };
            StreamState state = new(format, sampling, Context - _prompt.Length, prompt.Budget, Math.Min(options.MaxTokens, prompt.MaxTokens ?? int.MaxValue)) { Recorder = new ConfidenceRecorder() };
            _live.Add(new Live(place.Prompt, place.Sample, _rows.Add(_prompt), state, new SequenceRecorder(options.Sampling, _scratch)));
        }

        /// <summary>P(the answer is right), read behind it; null without a verifier.</summary>
        private double? Judge(Live live)
        {
            if (verifier is null)
                return null;
            if (live.State.Unrun is int last)
                _rows.Append(decoder, live.Row, [last]);
            float logit = _rows.Score(verifier.Graph, live.Row, verifier.Tokens);
            return verifier.Probability(logit, live.Row.Length + verifier.Tokens.Length - 1, live.State.Confidence);
        }

        /// <summary>Chooses the next token of a sequence; false when it has ended.</summary>
        private bool Advance(Live live)
        {
            while (true)
            {
                ReadOnlySpan<float> logits = live.Row.Logits;
                StreamAction action = live.State.Next(logits);
                if (live.State.Token >= 0)
                    live.Recorder.Chosen(live.State.Token, logits);
                switch (action)
                {
                    case StreamAction.End:
                        return false;
                    case StreamAction.Step:
                        live.Row.Next = live.State.Token;
                        return true;
                    case StreamAction.Force:
                        live.Recorder.Appended(format.ForceAnswerTokens);
                        _rows.Append(decoder, live.Row, format.ForceAnswerTokens);
                        break;
                    default:
                        throw new InvalidLogitsException(decoder.Mode, live.Row.Length - 1);
                }
            }
        }
    }
}
