using System.Diagnostics;
using System.Runtime.InteropServices;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Runtime.Measurement;

/// <summary>Measures a bundle on this machine: load, prefill, time to first token, decoding, memory.</summary>
public static class BundleBenchmark
{
    private const int Steps = 48;
    private const int Warmup = 4;
    private const int Rounds = 5;
    private const int SwitcherRounds = 21;

    /// <summary>Runs all measurements; seconds for a small model, about a minute for one of a billion weights.</summary>
    /// <param name="bundleFolder">The bundle.</param>
    /// <param name="threads">Threads of one pass; null = the number of processors.</param>
    /// <param name="cancellationToken">Stops between model passes.</param>
    /// <exception cref="BundleException">The bundle cannot be loaded.</exception>
    public static Task<BenchmarkReport> RunAsync(string bundleFolder, int? threads = null, CancellationToken cancellationToken = default) =>
        RunAsync(bundleFolder, [], threads, cancellationToken);

    /// <summary>Runs all measurements, and measures on questions what guessed tokens bring.</summary>
    /// <param name="bundleFolder">The bundle.</param>
    /// <param name="questions">Requests of one stream; each is answered twice, greedily. None: not measured.</param>
    /// <param name="threads">Threads of one pass; null = the number of processors.</param>
    /// <param name="cancellationToken">Stops between model passes.</param>
    /// <exception cref="BundleException">The bundle cannot be loaded.</exception>
    /// <exception cref="InvalidRequestException">A question has a setting out of range.</exception>
    public static async Task<BenchmarkReport> RunAsync(string bundleFolder, IReadOnlyList<ReasoningRequest> questions, int? threads = null, CancellationToken cancellationToken = default)
    {
        ReasoningModelOptions options = new() { Threads = threads ?? Environment.ProcessorCount };
        double bandwidth = MemoryBandwidth.Measure(options.Threads.Value);
        double load = await LoadAsync(bundleFolder, options, cancellationToken).ConfigureAwait(false);
        ReasoningModel model = await ReasoningModel.LoadAsync(bundleFolder, options, cancellationToken).ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            return await Task.Run(() => Measure(model, options, bandwidth, load, questions, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Bytes of base weights that one decode step reads: everything but embedding rows and rotary tables, of which it reads a row each. A tied embedding is read as the LM head.</summary>
    /// <param name="bundle">The bundle.</param>
    public static long WeightBytesPerToken(BundleManifest bundle)
    {
        HashSet<long> offsets = [];
        long bytes = 0;
        foreach (BundleTensor tensor in bundle.Weights.Tensors)
        {
            bool table = tensor.Name.StartsWith("rotary.", StringComparison.Ordinal)
                || (tensor.Name.Contains("embed_tokens", StringComparison.Ordinal) && !bundle.Architecture.TiedEmbeddings);
            // Tied tensors are two entries over the same bytes.
            if (!table && offsets.Add(tensor.Offset))
                bytes += tensor.Bytes;
        }

        return bytes;
    }

    private static async Task<double> LoadAsync(string bundleFolder, ReasoningModelOptions options, CancellationToken cancellationToken)
    {
        List<double> times = [];
        // The first load brings the files into the page cache and the engine's library into the process.
        for (int i = 0; i <= 3; i++)
        {
            long start = Stopwatch.GetTimestamp();
            ReasoningModel model = await ReasoningModel.LoadAsync(bundleFolder, options, cancellationToken).ConfigureAwait(false);
            double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            await model.DisposeAsync().ConfigureAwait(false);
            if (i > 0)
                times.Add(milliseconds);
        }

        return Median(times);
    }

    private static BenchmarkReport Measure(ReasoningModel model, ReasoningModelOptions options, double bandwidth, double load, IReadOnlyList<ReasoningRequest> questions, CancellationToken cancellationToken)
    {
        LoadedBundle loaded = model.Loaded;
        BundleManifest bundle = loaded.Bundle;
        long weightBytes = WeightBytesPerToken(bundle);
        double floor = weightBytes / bandwidth / 1e6;
        using TokenCache cache = new(bundle.Architecture, bundle.Context, options.PrefillChunk, loaded.Sessions.Modes.Count, bundle.Cache);

        List<DecodeMeasurement> decode = [];
        int context = Math.Clamp(bundle.Context - Steps - Warmup - 1, 1, 128);
        for (int mode = 0; mode < loaded.Sessions.Modes.Count; mode++)
        {
            double step = DecodeStep(loaded, cache, mode, context, cancellationToken);
            decode.Add(new DecodeMeasurement(loaded.Sessions.Modes[mode], 1, context, step, 1000 / step, floor / step));
        }

        int reasoning = Reasoning(loaded);
        foreach (int tokens in (ReadOnlySpan<int>)[512, 2048, 4096])
        {
            // The last one as far into the context as there is room for the steps.
            int before = Math.Min(tokens, bundle.Context - Steps - Warmup - 1);
            if (before <= tokens / 2)
                break;
            double step = DecodeStep(loaded, cache, reasoning, before, cancellationToken);
            decode.Add(new DecodeMeasurement(loaded.Sessions.Modes[reasoning], 1, before, step, 1000 / step, floor / step));
        }

        foreach (int streams in (ReadOnlySpan<int>)[2, 4, 8])
        {
            if (reasoning == 0)
                break;
            double step = DecodeStreams(loaded, cache, reasoning, streams, context, options.PrefillChunk, cancellationToken);
            decode.Add(new DecodeMeasurement(loaded.Sessions.Modes[reasoning], streams, context, step, streams * 1000 / step, floor / step));
        }

        List<PrefillMeasurement> prefill = [];
        foreach (int tokens in (ReadOnlySpan<int>)[128, 512, 2048])
        {
            if (tokens > bundle.Context)
                break;
            double milliseconds = Time(() => cache.Rewind(0), () => cache.Append(loaded.Sessions.Encoder, Tokens(tokens, loaded), logits: false, cancellationToken));
            prefill.Add(new PrefillMeasurement(tokens, tokens * 1000 / milliseconds, SwitcherCost(loaded, cache, tokens, cancellationToken)));
        }

        IReadOnlyList<DraftMeasurement> drafts = Drafts(loaded, cache, reasoning, context, cancellationToken);
        int generated = loaded.Tokenizer.Encode(loaded.Template.GenerationPrompt).Length;
        FirstTokenMeasurement[] firstToken = [.. ((int[])[512, 2048]).Select(t => Math.Clamp(cache.Context - generated, 1, t)).Distinct().Select(t => FirstToken(loaded, cache, t, cancellationToken))];
        SpeculationMeasurement? speculation = questions.Count == 0 ? null : Speculation(loaded, cache, questions, cancellationToken);
        using Process process = Process.GetCurrentProcess();
        return new BenchmarkReport(
            $"{RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} processors",
            options.Threads!.Value,
            bandwidth,
            weightBytes,
            bundle.Quantization.KeyValueCache ?? "fp32",
            bundle.CacheBytesPerToken,
            decode,
            prefill,
            drafts,
            firstToken,
            load,
            process.WorkingSet64 / (double)(1 << 20))
        { Speculation = speculation };
    }

    private static double DecodeStep(LoadedBundle loaded, TokenCache cache, int mode, int context, CancellationToken cancellationToken)
    {
        GraphSession graph = loaded.Sessions[mode];
        TokenSampler sampler = new(SamplingOptions.Greedy);
        Encode(loaded, cache, graph, context, cancellationToken);
        List<double> times = [];
        int[] token = new int[1];
        for (int i = 0; i < Warmup + Steps; i++)
        {
            long start = Stopwatch.GetTimestamp();
            cancellationToken.ThrowIfCancellationRequested();
            token[0] = sampler.Choose(cache.Logits[..loaded.Vocabulary]);
            cache.Step(graph, token);
            if (i >= Warmup)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return Median(times);
    }

    /// <summary>Passes of several tokens. The numbers of tokens take turns, so that all see the same machine.</summary>
    private static List<DraftMeasurement> Drafts(LoadedBundle loaded, TokenCache cache, int mode, int context, CancellationToken cancellationToken)
    {
        GraphSession graph = loaded.Sessions[mode];
        int[] counts = [.. new[] { 2, 4, 8, TokenCache.MaxRows }.Where(count => context + count <= cache.Context)];
        List<double>[] times = [.. counts.Select(_ => new List<double>())];
        int[] tokens = Tokens(TokenCache.MaxRows, loaded);
        Encode(loaded, cache, graph, context, cancellationToken);
        for (int i = 0; i < Warmup + Steps / 2; i++)
        {
            for (int n = 0; n < counts.Length; n++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                cache.Rewind(context);
                long start = Stopwatch.GetTimestamp();
                cache.Step(graph, tokens.AsSpan(0, counts[n]));
                if (i >= Warmup)
                    times[n].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        return [.. counts.Select((count, n) => new DraftMeasurement(graph.Mode, count, Median(times[n])))];
    }

    /// <summary>Answers every question without and with guesses, on an empty cache each. Which is first changes from question to question.</summary>
    private static SpeculationMeasurement Speculation(LoadedBundle loaded, TokenCache cache, IReadOnlyList<ReasoningRequest> questions, CancellationToken cancellationToken)
    {
        double[] milliseconds = new double[2];
        int[] passes = new int[2];
        int tokens = 0;
        int same = 0;
        int drafted = 0;
        int accepted = 0;
        for (int i = 0; i < questions.Count; i++)
        {
            ReasoningModel.Validate(questions[i]);
            ReasoningResult[] results = new ReasoningResult[2];
            for (int turn = 0; turn < 2; turn++)
            {
                int guess = (i + turn) % 2;
                ReasoningRequest request = questions[i] with { Sampling = SamplingOptions.Greedy, DraftTokens = guess * ReasoningRequest.MaxDraftTokens };
                cache.Rewind(0);
                long start = Stopwatch.GetTimestamp();
                results[guess] = Generation.Run(loaded, cache, request, sink: null, cancellationToken);
                milliseconds[guess] += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                passes[guess] += results[guess].Usage.Passes;
            }

            (ReasoningResult plain, ReasoningResult guessed) = (results[0], results[1]);
            tokens += plain.Usage.GeneratedTokens;
            drafted += guessed.Usage.DraftedTokens;
            accepted += guessed.Usage.AcceptedTokens;
            if (plain.Text == guessed.Text && plain.Reasoning == guessed.Reasoning && plain.Usage.GeneratedTokens == guessed.Usage.GeneratedTokens)
                same++;
        }

        return new SpeculationMeasurement(questions.Count, tokens, same, passes[0], passes[1], drafted, accepted, milliseconds[0] / Math.Max(tokens, 1), milliseconds[1] / Math.Max(tokens, 1));
    }

    private static double DecodeStreams(LoadedBundle loaded, TokenCache cache, int mode, int streams, int context, int chunk, CancellationToken cancellationToken)
    {
        GraphSession graph = loaded.Sessions[mode];
        Encode(loaded, cache, graph, context, cancellationToken);
        using BatchCache batch = new(loaded.Bundle.Architecture, streams, cache.Context, chunk, loaded.Bundle.Cache);
        TokenSampler[] samplers = new TokenSampler[streams];
        for (int i = 0; i < streams; i++)
        {
            samplers[i] = new TokenSampler(new SamplingOptions { Temperature = VotingOptions.DefaultTemperature, Seed = i });
            batch.Add(cache);
        }

        List<double> times = [];
        for (int i = 0; i < Warmup + Steps; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            foreach ((BatchRow row, TokenSampler sampler) in batch.Rows.Zip(samplers))
                row.Next = sampler.Choose(row.Logits[..loaded.Vocabulary]);
            batch.Step(graph);
            if (i >= Warmup)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return Median(times);
    }

    /// <summary>How much longer encoding a prompt takes when the switcher reads it; null without a switcher. The two take turns, so that both see the same machine.</summary>
    private static double? SwitcherCost(LoadedBundle loaded, TokenCache cache, int tokens, CancellationToken cancellationToken)
    {
        if (loaded.Bundle.Switcher is not { } switcher)
            return null;
        int[] prompt = Tokens(tokens, loaded);
        float[] logits = new float[switcher.Modes.Count];
        List<double> plain = [];
        List<double> read = [];
        for (int i = 0; i < Warmup + SwitcherRounds; i++)
        {
            double without = Time1(() => cache.Append(loaded.Sessions.Encoder, prompt, logits: false, cancellationToken));
            double with = Time1(() => cache.Read(loaded.Sessions.Prefill!, switcher, prompt, logits, cancellationToken));
            if (i >= Warmup)
            {
                plain.Add(without);
                read.Add(with);
            }
        }

        return Median(read) / Median(plain) - 1;

        double Time1(Action action)
        {
            cache.Rewind(0);
            long start = Stopwatch.GetTimestamp();
            action();
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
    }

    /// <summary>The mode whose reasoning is measured: the default one, or the first adapter where the default is the base or the switcher's choice; 0 without adapters.</summary>
    private static int Reasoning(LoadedBundle loaded) => loaded.Bundle.DefaultMode switch
    {
        _ when loaded.Sessions.Modes.Count == 1 => 0,
        BundleManifest.BaseMode or BundleManifest.AutoMode => 1,
        string mode => loaded.Sessions.IndexOf(mode),
    };

    private static FirstTokenMeasurement FirstToken(LoadedBundle loaded, TokenCache cache, int shared, CancellationToken cancellationToken)
    {
        SessionSet sessions = loaded.Sessions;
        int[] generation = loaded.Tokenizer.Encode(loaded.Template.GenerationPrompt);
        int[] prompt = Tokens(shared, loaded);
        double fromBase = Time(
            () => cache.Rewind(0),
            () =>
            {
                cache.Append(sessions.Encoder, prompt, logits: false, cancellationToken);
                cache.Append(sessions.Base, generation, logits: true, cancellationToken);
            });
        int mode = Reasoning(loaded);
        if (mode == 0)
            return new FirstTokenMeasurement(prompt.Length + generation.Length, fromBase, null, null);

        GraphSession graph = sessions[mode];
        double reasonShared = Time(() => cache.Rewind(shared), () => cache.Append(graph, generation, logits: true, cancellationToken));
        double reasonReencoded = Time(
            () => cache.Rewind(0),
            () =>
            {
                cache.Append(sessions.Encoder, prompt, logits: false, cancellationToken);
                cache.Append(graph, generation, logits: true, cancellationToken);
            });
        return new FirstTokenMeasurement(prompt.Length + generation.Length, fromBase, reasonShared, reasonReencoded);
    }

    /// <summary>Makes a prompt the cache's only content, the last token run by the graph that goes on.</summary>
    private static void Encode(LoadedBundle loaded, TokenCache cache, GraphSession graph, int tokens, CancellationToken cancellationToken)
    {
        int[] prompt = Tokens(tokens, loaded);
        cache.Rewind(0);
        cache.Append(loaded.Sessions.Encoder, prompt.AsSpan(0, tokens - 1), logits: false, cancellationToken);
        cache.Append(graph, prompt.AsSpan(tokens - 1), logits: true, cancellationToken);
    }

    private static int[] Tokens(int count, LoadedBundle loaded)
    {
        // Which tokens does not matter for speed; varied ones touch varied embedding rows.
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++)
            tokens[i] = (int)((i * 7919L + 17) % loaded.Vocabulary);
        return tokens;
    }

    private static double Time(Action prepare, Action action)
    {
        List<double> times = [];
        for (int i = 0; i <= Rounds; i++)
        {
            prepare();
            long start = Stopwatch.GetTimestamp();
            action();
            if (i > 0)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return Median(times);
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        int middle = values.Count / 2;
        return values.Count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    }
}
