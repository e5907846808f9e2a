using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <summary>Runs what the exporter wrote, before anyone else does.</summary>
public static partial class ExportVerifier
{
    /// <summary>Most tokens of the self-made sequence that the graphs are run on.</summary>
    private const int MaxTokens = 40;

    /// <summary>
    /// Most bytes of weights that are run: ONNX Runtime copies what it runs into the form of its kernels. Larger models are run in their first layers.
    /// </summary>
    private const long MostBytes = 3L << 29;

    /// <summary>
    /// Checks every graph against itself (token by token, in chunks and in a ragged batch = in one pass), a zero adapter against
    /// the base, prompts encoded for a quantized cache against the base, and each mode against the given reference logits.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="folder">Holds the graphs (and adapters/); weights.bin may lie elsewhere.</param>
    /// <param name="adapters">What <see cref="GraphExporter.WriteAdapter"/> returned.</param>
    /// <param name="options">The options that the graphs were written with.</param>
    /// <param name="references">Reference logits; may be empty.</param>
    /// <param name="bounds">Allowed differences; null = the defaults.</param>
    /// <param name="cancellationToken">Checked between runs.</param>
    /// <returns>What was compared and the measured differences.</returns>
    /// <exception cref="ExportException">MDL4030: a difference is out of bounds, with mode, comparison and amount. MDL4031: ONNX Runtime refuses a graph.</exception>
    public static VerificationReport Verify(
        QuantizedModel model,
        string folder,
        IReadOnlyList<BundleAdapter> adapters,
        GraphOptions options,
        IReadOnlyList<ReferenceLogits> references,
        VerificationBounds? bounds = null,
        CancellationToken cancellationToken = default) =>
        Verify(model, folder, adapters, options, references, bounds, MostBytes, cancellationToken);

    /// <summary>The same with another limit of the bytes of weights that are run.</summary>
    internal static VerificationReport Verify(
        QuantizedModel model,
        string folder,
        IReadOnlyList<BundleAdapter> adapters,
        GraphOptions options,
        IReadOnlyList<ReferenceLogits> references,
        VerificationBounds? bounds,
        long mostBytes,
        CancellationToken cancellationToken)
    {
        int layers = LayersWithin(model, mostBytes);
        if (layers < model.Architecture.Layers)
            return VerifyLarge(model, layers, folder, adapters, options, bounds, cancellationToken);
        bounds ??= new VerificationBounds();
        bool exact = IsExact(model, options);
        double sameWeights = exact ? bounds.SameWeightsExact : bounds.SameWeightsRounded;
        var checks = new Checks();
        TransformerConfig config = model.Architecture;
        int[] tokens = Tokens(config, Math.Min(MaxTokens, options.Context));
        using var placeholder = new WeightFilePlaceholder(folder);
        using var weights = new MappedWeights(model);
        using var baseRunner = new GraphRunner(Path.Combine(folder, GraphExporter.BaseGraphName), config, weights);
        using GraphRunner? encoder = model.Cache is null ? null : new GraphRunner(Path.Combine(folder, GraphExporter.EncoderGraphName), config, weights);
        float[] baseLogits = CheckItself(BundleManifest.BaseMode, baseRunner);
        if (encoder is not null)
            CheckEncoder(encoder);
        CheckReferences(BundleManifest.BaseMode, baseRunner);

        foreach (BundleAdapter adapter in adapters)
        {
            using var runner = new GraphRunner(Path.Combine(folder, adapter.Graph), config, weights);
            CheckItself(adapter.Name, runner);
            CheckReferences(adapter.Name, runner);
        }

        if (adapters.Count > 0)
        {
            using var zero = new ZeroAdapter(model, options, folder);
            using var runner = new GraphRunner(zero.GraphPath, config, weights);
            using KeyValueCache cache = runner.NewCache(1, tokens.Length);
            Add(BundleManifest.BaseMode, "adapter graph with zero LoRA = base graph", baseLogits, All(runner, tokens, cache), sameWeights, 0);
        }

        return new VerificationReport(checks.Done);

        float[] CheckItself(string mode, GraphRunner runner)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using KeyValueCache cache = runner.NewCache(1, tokens.Length);
            float[] full = All(runner, tokens, cache);
            // The same cache again: a smaller length rewinds it, so stale entries behind the end must not matter.
            Add(mode, "token by token = in one pass", full, Pieces(runner, tokens, 1, cache), sameWeights, 0);
            Add(mode, "in chunks = in one pass", full, Pieces(runner, tokens, Math.Max(2, tokens.Length / 3), cache), sameWeights, 0);
            Add(mode, "in a ragged batch = in one pass", full, Batch(runner, tokens), sameWeights, 0);
            return full;
        }

        // What follows a prompt, token by token: the prompt encoded in one pass, and in chunks.
        void CheckEncoder(GraphRunner encoder)
        {
            int[] prompt = tokens[..(tokens.Length * 2 / 3)];
            using KeyValueCache cache = baseRunner.NewCache(1, tokens.Length);
            baseRunner.Run(prompt, [prompt.Length], [], cache);
            float[] expected = Pieces(baseRunner, tokens, 1, cache, prompt.Length);
            foreach (int chunk in (int[])[prompt.Length, Math.Max(2, prompt.Length / 3)])
            {
                for (int start = 0; start < prompt.Length; start += chunk)
                {
                    int end = Math.Min(start + chunk, prompt.Length);
                    encoder.Encode(prompt.AsSpan(start, end - start), end, cache);
                }

                string name = chunk == prompt.Length ? "prompt by the encoder = by the base" : "prompt by the encoder in chunks = by the base";
                Add(BundleManifest.BaseMode, name, expected, Pieces(baseRunner, tokens, 1, cache, prompt.Length), sameWeights, 0);
            }
        }

        void CheckReferences(string mode, GraphRunner runner)
        {
            foreach (ReferenceLogits reference in references.Where(r => r.Mode == mode))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (reference.Tokens.Length > options.Context || reference.Logits.Length != (long)(reference.Tokens.Length - reference.Start) * config.VocabularySize)
                    throw new ArgumentException($"Reference logits of {mode} do not fit {reference.Tokens.Length} tokens from {reference.Start} on.", nameof(references));
                using KeyValueCache cache = runner.NewCache(1, reference.Tokens.Length);
                if (reference.Start > 0 && encoder is not null)
                    encoder.Encode(reference.Tokens.AsSpan(0, reference.Start), reference.Start, cache);
                else if (reference.Start > 0)
                    baseRunner.Run(reference.Tokens.AsSpan(0, reference.Start), [reference.Start], [], cache);
                int[] rest = reference.Tokens[reference.Start..];
                float[] logits = runner.Run(rest, [reference.Tokens.Length], [.. Enumerable.Range(0, rest.Length)], cache);
                Add(mode, "ONNX Runtime = reference", reference.Logits, logits, exact ? bounds.ReferenceExact : bounds.ReferenceRounded, bounds.ArgmaxAgreement);
            }
        }

        void Add(string mode, string name, float[] expected, float[] actual, double bound, double agreementBound) =>
            checks.Add(mode, name, expected, actual, config.VocabularySize, bound, agreementBound);
    }

    /// <summary>
    /// Checks of a model whose weights would not fit beside their prepared copy: every graph is loaded, and graphs of the first layers, which are built by
    /// the same code over the same weights, are checked against themselves. Reference logits are those of the whole model, so none are compared.
    /// </summary>
    private static VerificationReport VerifyLarge(
        QuantizedModel model, int layers, string folder, IReadOnlyList<BundleAdapter> adapters, GraphOptions options, VerificationBounds? bounds, CancellationToken cancellationToken)
    {
        using (var placeholder = new WeightFilePlaceholder(folder))
        using (var weights = new MappedWeights(model))
        {
            foreach (string graph in (string[])[GraphExporter.BaseGraphName, .. model.Cache is null ? [] : (string[])[GraphExporter.EncoderGraphName], .. adapters.Select(a => a.Graph)])
            {
                cancellationToken.ThrowIfCancellationRequested();
                GraphRunner.CheckLoads(Path.Combine(folder, graph), weights);
            }
        }

        string work = Path.Combine(folder, $"first-{Guid.NewGuid():N}");
        try
        {
            QuantizedModel first = model.FirstLayers(layers);
            GraphExporter.WriteBase(first, options, work);
            GraphExporter.WriteEncoder(first, options, work);
            return Verify(first, work, [], options, [], bounds, long.MaxValue, cancellationToken);
        }
        finally
        {
            if (Directory.Exists(work))
                Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>Whole layers whose weights, the head's included, take at most so many bytes; at least 1.</summary>
    private static int LayersWithin(QuantizedModel model, long bytes)
    {
        long Of(string prefix) => model.Tensors.Where(t => t.Name.StartsWith(prefix, StringComparison.Ordinal)).Sum(t => t.Bytes);
        long layer = Of(TensorNames.Layer(0, ""));
        return (int)Math.Clamp((bytes - Of(TensorNames.Head)) / layer, 1, model.Architecture.Layers);
    }

    /// <summary>Layers of a model that are run: all of them unless it is large.</summary>
    internal static int LayersWithin(QuantizedModel model) => LayersWithin(model, MostBytes);

    /// <summary>The self-made sequence that graphs are run on.</summary>
    internal static int[] SelfMade(TransformerConfig config, int context) => Tokens(config, Math.Min(MaxTokens, context));

    private static bool IsExact(QuantizedModel model, GraphOptions options) =>
        model.Cache is null && (model.Options.Weights == WeightFormat.None || (options.Int4AccuracyLevel < 4 && options.Int8AccuracyLevel < 4));

    private static float[] All(GraphRunner runner, int[] tokens, KeyValueCache cache)
        => runner.Run(tokens, [tokens.Length], [.. Enumerable.Range(0, tokens.Length)], cache);

    private static float[] Pieces(GraphRunner runner, int[] tokens, int size, KeyValueCache cache, int from = 0)
    {
        var logits = new List<float>();
        for (int start = from; start < tokens.Length; start += size)
        {
            int[] piece = tokens[start..Math.Min(start + size, tokens.Length)];
            logits.AddRange(runner.Run(piece, [start + piece.Length], [.. Enumerable.Range(0, piece.Length)], cache));
        }

        return [.. logits];
    }

    /// <summary>
    /// Two rows of the same tokens, one of them a third shorter at first: a padded first pass without a past, then one token a
    /// row and step. Returns the logits of both rows' every position, the longer row's where both have one and they agree in place.
    /// </summary>
    private static float[] Batch(GraphRunner runner, int[] tokens)
    {
        int vocabulary = runner.Config.VocabularySize;
        int length = tokens.Length;
        int first = Math.Max(1, length / 2);
        int shorter = Math.Max(1, length / 3);
        using KeyValueCache cache = runner.NewCache(2, length);
        var rows = new float[2][];
        for (int row = 0; row < 2; row++)
            rows[row] = new float[length * vocabulary];

        int[] lengths = [first, shorter];
        int[] padded = new int[2 * first];
        tokens.AsSpan(0, first).CopyTo(padded);
        tokens.AsSpan(0, shorter).CopyTo(padded.AsSpan(first));
        float[] logits = runner.Run(padded, lengths, [.. Enumerable.Range(0, 2 * first)], cache);
        logits.AsSpan(0, first * vocabulary).CopyTo(rows[0]);
        logits.AsSpan(first * vocabulary, shorter * vocabulary).CopyTo(rows[1]);

        while (lengths[0] < length)
        {
            int[] step = [tokens[lengths[0]], tokens[lengths[1]]];
            int[] after = [lengths[0] + 1, lengths[1] + 1];
            logits = runner.Run(step, after, [0, 1], cache);
            for (int row = 0; row < 2; row++)
                logits.AsSpan(row * vocabulary, vocabulary).CopyTo(rows[row].AsSpan(lengths[row] * vocabulary));
            lengths = after;
        }

        // Even positions of the longer row, odd ones of the shorter: both rows are judged at every stage.
        var mixed = new float[length * vocabulary];
        for (int t = 0; t < length; t++)
            rows[t % 2 == 1 && t < lengths[1] ? 1 : 0].AsSpan(t * vocabulary, vocabulary).CopyTo(mixed.AsSpan(t * vocabulary));
        return mixed;
    }

    /// <summary>Tokens spread over the whole vocabulary, the same at every run.</summary>
    private static int[] Tokens(TransformerConfig config, int count)
    {
        var tokens = new int[count];
        for (int i = 0; i < count; i++)
            tokens[i] = (int)((i * 2654435761L + 12345) % config.VocabularySize);
        return tokens;
    }

    /// <summary>The comparisons that hold so far.</summary>
    private sealed class Checks
    {
        private readonly List<VerificationCheck> _done = [];

        public IReadOnlyList<VerificationCheck> Done => _done;

        /// <summary>Compares outputs [T, <paramref name="width"/>] and throws when they differ by more than the bound.</summary>
        public void Add(string mode, string name, float[] expected, float[] actual, int width, double bound, double agreementBound)
        {
            (double difference, double greatest, double agreement) = LogitsComparison.Compare(expected, actual, width);
            if (!(difference <= bound))
                throw new ExportException(DiagnosticCodes.ExportVerificationFailed, $"Mode {mode}: \"{name}\" does not hold. The outputs differ by {difference:g3} of their root mean square (the worst by {greatest:g3}); allowed is {bound:g3}. Lower the rounding (8-bit weights, or accuracy_level 1), or report a bug of the exporter.");
            if (agreement < agreementBound)
                throw new ExportException(DiagnosticCodes.ExportVerificationFailed, $"Mode {mode}: \"{name}\" chooses the same token at {agreement:p1} of {expected.Length / width} positions; required are {agreementBound:p1}. Lower the rounding (8-bit weights, or accuracy_level 1), or report a bug of the exporter.");
            _done.Add(new VerificationCheck(mode, name, expected.Length / width, difference, bound, greatest, agreement));
        }
    }

    /// <summary>A graph with every linear adapted by zeros, beside the real ones for as long as it is needed.</summary>
    private sealed class ZeroAdapter : IDisposable
    {
        private readonly string _name = $"zero-{Guid.NewGuid():N}";
        private readonly string _folder;

        public ZeroAdapter(QuantizedModel model, GraphOptions options, string folder)
        {
            _folder = folder;
            var linears = new Dictionary<string, LoraLinear>(StringComparer.Ordinal);
            foreach (QuantizedWeight weight in model.Weights.Where(w => w.Columns > 1 && w.Name.Contains("_proj.", StringComparison.Ordinal)))
            {
                string module = weight.Name[..^".weight".Length];
                linears.Add(module, new LoraLinear(module, weight.Columns, weight.Rows, new float[weight.Columns], new float[weight.Rows]));
            }

            GraphPath = Path.Combine(folder, GraphExporter.WriteAdapter(model, new LoraAdapter { Rank = 1, Alpha = 1, Linears = linears }, _name, options, folder).Graph);
        }

        public string GraphPath { get; }

        public void Dispose()
        {
            File.Delete(GraphPath);
            Directory.Delete(Path.Combine(_folder, "adapters", _name), recursive: true);
        }
    }
}
