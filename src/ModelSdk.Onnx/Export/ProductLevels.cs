using System.Numerics.Tensors;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <summary>What rounding activations to 8 bits changes in a model, and the products that it is too much for.</summary>
/// <param name="Checks">Of each mode: logits with rounded activations against those with exact ones, as the model is exported.</param>
/// <param name="Exact">Products that compute with exact activations; see <see cref="GraphOptions.ExactProducts"/>.</param>
/// <param name="Before">Share of positions with the same likeliest token before any product was taken from rounding, 0 to 1.</param>
public sealed record ProductLevelChoice(IReadOnlyList<VerificationCheck> Checks, IReadOnlySet<string> Exact, double Before);

/// <summary>
/// Chooses accuracy_level of the products: 4 (activations rounded to 8 bits a block) unless that changes likeliest tokens. Rounding is several times faster, and its error is small but where
/// one activation of a block is much greater than the others.
/// </summary>
public static class ProductLevels
{
    private const string CheckName = "rounded activations = exact ones";

    /// <summary>Sequences of a mode beside the self-made one.</summary>
    private const int References = 2;

    /// <summary>Runs the model with and without rounding. Where they disagree, finds the fewest products to compute exactly, those first that change the logits most when they alone are rounded no more.</summary>
    /// <param name="model">Base weights. Of large ones the first layers are run, without adapters.</param>
    /// <param name="adapters">Adapters in full precision, by mode.</param>
    /// <param name="options">The options that graphs will be written with.</param>
    /// <param name="references">Sequences to run, beside a self-made one; their logits are not used.</param>
    /// <param name="folder">Where graphs are written to be compared; left as it was.</param>
    /// <param name="bounds">What is allowed; null = the defaults.</param>
    /// <param name="cancellationToken">Checked between runs.</param>
    /// <exception cref="ExportException">MDL4031: ONNX Runtime refuses a graph.</exception>
    public static ProductLevelChoice Choose(
        QuantizedModel model,
        IReadOnlyDictionary<string, LoraAdapter> adapters,
        GraphOptions options,
        IReadOnlyList<ReferenceLogits> references,
        string folder,
        VerificationBounds? bounds = null,
        CancellationToken cancellationToken = default)
    {
        bounds ??= new VerificationBounds();
        int layers = ExportVerifier.LayersWithin(model);
        bool whole = layers == model.Architecture.Layers;
        QuantizedModel run = whole ? model : model.FirstLayers(layers);
        string[] products = ProductsOf(run);
        if (products.Length == 0 || (options.Int4AccuracyLevel < 4 && options.Int8AccuracyLevel < 4))
            return new ProductLevelChoice([], options.ExactProducts, 1);

        using var trial = new Trial(run, whole ? adapters : new Dictionary<string, LoraAdapter>(), whole ? references : [], folder);
        Logits[] exact = trial.Run(options with { ExactProducts = products.ToHashSet() }, cancellationToken);
        (VerificationCheck[] checks, double before) = Compare(exact, trial.Run(options, cancellationToken), run, bounds);
        if (Holds(checks, bounds))
            return new ProductLevelChoice(checks, options.ExactProducts, before);

        // By what is left of the difference when a product alone is exact.
        string[] order = [.. products
            .Select(p => (Name: p, Left: Compare(exact, trial.Run(options with { ExactProducts = new HashSet<string> { p } }, cancellationToken), run, bounds).Checks.Sum(c => c.Difference)))
            .OrderBy(p => p.Left)
            .Select(p => p.Name)];
        int least = 1, most = order.Length;
        while (least < most)
        {
            int middle = (least + most) / 2;
            if (Holds(Compare(exact, trial.Run(options with { ExactProducts = order[..middle].ToHashSet() }, cancellationToken), run, bounds).Checks, bounds))
                most = middle;
            else
                least = middle + 1;
        }

        HashSet<string> chosen = order[..most].ToHashSet();
        return new ProductLevelChoice(Compare(exact, trial.Run(options with { ExactProducts = chosen }, cancellationToken), run, bounds).Checks, chosen, before);
    }

    private static string[] ProductsOf(QuantizedModel model) =>
    [
        .. Enumerable.Range(0, model.Architecture.Layers).SelectMany(layer => TensorNames.Linears.Select(l => TensorNames.Layer(layer, l.Fused) + ".weight")).Append(TensorNames.Head)
            .Where(name => model.Weights.First(w => w.Data == name).Scales is not null),
    ];

    private static bool Holds(VerificationCheck[] checks, VerificationBounds bounds) => checks.All(c => c.Difference <= bounds.ReferenceRounded && c.ArgmaxAgreement >= bounds.LevelAgreement);

    private static (VerificationCheck[] Checks, double Agreement) Compare(Logits[] exact, Logits[] rounded, QuantizedModel model, VerificationBounds bounds)
    {
        int width = model.Architecture.VocabularySize;
        VerificationCheck[] checks = [.. exact.Zip(rounded).GroupBy(p => p.First.Mode).Select(mode =>
        {
            float[] expected = [.. mode.SelectMany(p => p.First.Values)], actual = [.. mode.SelectMany(p => p.Second.Values)];
            (double difference, double greatest, _) = LogitsComparison.Compare(expected, actual, width);
            return new VerificationCheck(mode.Key, CheckName, expected.Length / width, difference, bounds.ReferenceRounded, greatest, Agreement(expected, actual, width, bounds.LevelTie));
        })];
        return (checks, checks.Min(c => c.ArgmaxAgreement));
    }

    /// <summary>Share of positions whose likeliest token is the same, or as likely.</summary>
    private static double Agreement(ReadOnlySpan<float> exact, ReadOnlySpan<float> rounded, int width, double tie)
    {
        int positions = exact.Length / width, same = 0;
        double allowed = tie * TensorPrimitives.Norm(exact) / Math.Sqrt(exact.Length);
        for (int at = 0; at < exact.Length; at += width)
        {
            ReadOnlySpan<float> row = exact.Slice(at, width);
            int chosen = TensorPrimitives.IndexOfMax(rounded.Slice(at, width));
            if (TensorPrimitives.Max(row) - row[chosen] <= allowed)
                same++;
        }

        return (double)same / positions;
    }

    private sealed record Logits(string Mode, float[] Values);

    /// <summary>Graphs of the model in a folder of their own, one after the other.</summary>
    private sealed class Trial : IDisposable
    {
        private readonly QuantizedModel _model;
        private readonly IReadOnlyDictionary<string, LoraAdapter> _adapters;
        private readonly IReadOnlyList<ReferenceLogits> _references;
        private readonly string _folder;
        private readonly MappedWeights _weights;
        private readonly WeightFilePlaceholder _placeholder;

        public Trial(QuantizedModel model, IReadOnlyDictionary<string, LoraAdapter> adapters, IReadOnlyList<ReferenceLogits> references, string folder)
        {
            (_model, _adapters) = (model, adapters);
            _references = [.. references.GroupBy(r => r.Mode).SelectMany(mode => mode.Take(References))];
            _folder = Path.Combine(folder, $"levels-{Guid.NewGuid():N}");
            Directory.CreateDirectory(_folder);
            _placeholder = new WeightFilePlaceholder(_folder);
            _weights = new MappedWeights(model);
        }

        public Logits[] Run(GraphOptions options, CancellationToken cancellationToken)
        {
            List<Logits> found = [];
            GraphExporter.WriteBase(_model, options, _folder);
            using GraphRunner plain = Open(GraphExporter.BaseGraphName);
            Add(BundleManifest.BaseMode, plain);
            foreach ((string mode, LoraAdapter adapter) in _adapters.OrderBy(a => a.Key, StringComparer.Ordinal))
            {
                using GraphRunner runner = Open(GraphExporter.WriteAdapter(_model, adapter, mode, options, _folder).Graph);
                Add(mode, runner);
            }

            return [.. found];

            void Add(string mode, GraphRunner runner)
            {
                int[] own = ExportVerifier.SelfMade(_model.Architecture, options.Context);
                foreach ((int[] tokens, int start) in _references.Where(r => r.Mode == mode).Select(r => (r.Tokens, r.Start)).Prepend((own, 0)))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    using KeyValueCache cache = runner.NewCache(1, tokens.Length);
                    if (start > 0)
                        plain.Run(tokens.AsSpan(0, start), [start], [], cache);
                    found.Add(new Logits(mode, runner.Run(tokens.AsSpan(start), [tokens.Length], [.. Enumerable.Range(0, tokens.Length - start)], cache)));
                }
            }
        }

        public void Dispose()
        {
            _weights.Dispose();
            _placeholder.Dispose();
            Directory.Delete(_folder, recursive: true);
        }

        private GraphRunner Open(string graph) => new(Path.Combine(_folder, graph), _model.Architecture, _weights);
    }
}
