using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// What is decided before anything is written: which linears keep how many bits, what is folded into the weights so that they round well, and
/// which solver rounds them. Norms and transforms come first, ranges last (paper, section 6).
/// </summary>
internal sealed class QuantizationPlan
{
    private static readonly WeightFormat[] s_mixed = [WeightFormat.Int2, WeightFormat.Int4, WeightFormat.Int8];

    private readonly Checkpoint _checkpoint;
    private readonly TransformerConfig _config;
    private readonly QuantizationSettings _options;
    private readonly Calibration? _calibration;
    private readonly Dictionary<string, WeightFormat> _formats = new(StringComparer.Ordinal);
    private readonly CancellationToken _cancellationToken;
    private (int Layer, LayerGrams Grams)? _grams;

    private QuantizationPlan(Checkpoint checkpoint, QuantizationSettings options, Calibration? calibration, CancellationToken cancellationToken)
    {
        if (options.Calibrates && calibration is null)
            throw new ArgumentException($"Quality {options.Quality} needs a calibration.", nameof(calibration));
        if (options.Calibrates && options.Quality == QuantizationQuality.Best && calibration!.Grams is null)
            throw new ArgumentException("Quality Best needs a calibration with products of channels.", nameof(calibration));
        _checkpoint = checkpoint;
        _config = checkpoint.Config;
        _options = options;
        _calibration = options.Calibrates ? calibration : null;
        _cancellationToken = cancellationToken;
        if (_calibration is not null && _calibration.Layers.Count != _config.Layers)
            throw new ArgumentException($"The calibration has {_calibration.Layers.Count} layers, the model has {_config.Layers}.", nameof(calibration));
    }

    /// <summary>What is folded into the weights.</summary>
    public ModelTransforms Transforms { get; private set; } = new();

    /// <summary>Decides.</summary>
    /// <param name="checkpoint">The base in full precision.</param>
    /// <param name="options">Formats, block and quality; checked.</param>
    /// <param name="calibration">What flows through the base; null for quality fast.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <exception cref="ExportException">MDL4050: the bits per weight that were asked for cannot be kept; MDL4002: a weight is not finite.</exception>
    public static QuantizationPlan Create(Checkpoint checkpoint, QuantizationSettings options, Calibration? calibration, CancellationToken cancellationToken)
    {
        var plan = new QuantizationPlan(checkpoint, options, calibration, cancellationToken);
        plan.ChooseFormats();
        if (plan._calibration is not null)
            plan.Transforms = new ModelTransforms { Layers = [.. Enumerable.Range(0, plan._config.Layers).Select(plan.ChooseTransforms)] };
        return plan;
    }

    /// <summary>Format of a fused linear.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="fused">Its name within the layer.</param>
    public WeightFormat Format(int layer, string fused) => _formats[TensorNames.Layer(layer, fused)];

    /// <summary>What rounds the rows of a fused linear; layers must be asked for in order.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="fused">Its name within the layer.</param>
    public RowSolver Solver(int layer, string fused)
    {
        WeightFormat format = Format(layer, fused);
        if (_calibration is null || format == WeightFormat.None)
            return Search(format.Bits(), _options.Block, null);
        float[] importance = Importance(layer, fused);
        if (_options.Quality == QuantizationQuality.Balanced)
            return Search(format.Bits(), _options.Block, importance);

        if (_grams?.Layer != layer)
            _grams = (layer, _calibration.Grams!(layer));
        float[] gram = Transformed(_grams.Value.Grams[fused], layer, fused);
        // The channels of down_proj were permuted already; an order of its own costs nothing elsewhere, as blocks keep their scales.
        ErrorFeedback feedback = ErrorFeedback.Create(TensorNames.Layer(layer, fused), gram, fused == "mlp.down_proj" ? [.. Enumerable.Range(0, importance.Length)] : GptqQuantizer.ByActivation(importance));
        return (name, weights, _, data, scales, row) => GptqQuantizer.Quantize(name, weights, feedback, format.Bits(), _options.Block, data, scales, row);
    }

    /// <summary>The scale search alone.</summary>
    public static RowSolver Search(int bits, int block, float[]? importance) =>
        (name, weights, columns, data, scales, row) => BlockQuantizer.Quantize(name, weights, columns, bits, block, data, scales, row, importance);

    private void ChooseFormats()
    {
        string[] linears = [.. Enumerable.Range(0, _config.Layers).SelectMany(layer => TensorNames.Linears.Select(l => TensorNames.Layer(layer, l.Fused)))];
        if (_options.BitsPerWeight is not double bits || _options.Weights == WeightFormat.None)
        {
            foreach (string linear in linears)
                _formats.Add(linear, _options.Weights);
            return;
        }

        var choices = new List<IReadOnlyList<FormatChoice>>();
        double weights = 0;
        for (int layer = 0; layer < _config.Layers; layer++)
        {
            foreach ((string fused, string[] modules) in TensorNames.Linears)
            {
                choices.Add(Measure(layer, fused, modules, out long count));
                weights += count;
            }
        }

        int[] chosen = BitAllocation.Solve(choices, (long)(weights * bits / 8))
            ?? throw new ExportException(DiagnosticCodes.BitBudgetTooSmall, $"{bits} bits per weight were asked for, but 2 bits and a scale of 32 bits for every {_options.Block} weights take {2 + (32.0 / _options.Block)}. Ask for more bits, or for a greater block.");
        for (int i = 0; i < linears.Length; i++)
            _formats.Add(linears[i], choices[i][chosen[i]].Format);
    }

    /// <summary>
    /// What each format would do to the residual stream: the error of the linear's outputs as a share of their energy, times the share that its
    /// block has in the stream behind it. Without a calibration, the squared error of the weights as a share of theirs.
    /// </summary>
    private List<FormatChoice> Measure(int layer, string fused, string[] modules, out long weights)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        var errors = new double[s_mixed.Length];
        double energy = 0;
        long rows = 0;
        int columns = 0;
        LinearActivations? activations = _calibration?.Layers[layer][fused];
        foreach (string module in modules)
        {
            string name = TensorNames.Layer(layer, module) + ".weight";
            long[] shape = _checkpoint.Tensors[name].Shape;
            (int all, columns) = ((int)shape[0], (int)shape[1]);
            float[] sample = SampledRows.Read(_checkpoint, name);
            int count = sample.Length / columns;
            float[] importance = activations?.MeanSquares ?? [.. Enumerable.Repeat(1f, columns)];
            for (int f = 0; f < s_mixed.Length; f++)
                errors[f] += RoundingError.Of(name, sample, importance, s_mixed[f].Bits(), _options.Block) * all / count;
            energy += sample.Sum(w => (double)w * w) * all / count;
            rows += all;
        }

        weights = rows * columns;
        double unit = activations is null ? 1 / energy : activations.StreamShare / activations.OutputEnergy;
        long scales = weights / _options.Block * sizeof(float);
        long codes = weights;
        return [.. s_mixed.Select((format, f) => new FormatChoice(format, (codes / 8 * format.Bits()) + scales, double.IsFinite(unit) ? errors[f] * unit : 0))];
    }

    private LayerTransforms ChooseTransforms(int layer)
    {
        _cancellationToken.ThrowIfCancellationRequested();
        LayerActivations activations = _calibration!.Layers[layer];
        int group = _config.Heads / _config.KeyValueHeads;
        int[] heads = [.. Enumerable.Range(0, _config.QuerySize).Select(c => (c / _config.HeadSize / group * _config.HeadSize) + (c % _config.HeadSize))];
        float[] values = Scales(layer, "self_attn.o_proj", activations.Output, heads);
        float[] down = Scales(layer, "mlp.down_proj", activations.Down, [.. Enumerable.Range(0, _config.IntermediateSize)]);
        float[] importance = activations.Down.Importance();
        return new LayerTransforms
        {
            Values = values.All(s => s == 1) ? null : ValueTransform.Diagonal(Inverse(values)),
            Up = down.All(s => s == 1) ? null : Inverse(down),
            Permutation = _options.Quality == QuantizationQuality.Best ? GptqQuantizer.ByActivation([.. importance.Select((h, i) => h / (down[i] * down[i]))]) : null,
        };

        // Exact as singles, as they are stored.
        static double[] Inverse(float[] scales) => [.. scales.Select(s => (double)(1 / s))];
    }

    private float[] Scales(int layer, string fused, LinearActivations activations, int[] shared)
    {
        string name = TensorNames.Layer(layer, fused) + ".weight";
        return DiagonalScales.Solve(name, SampledRows.Read(_checkpoint, name), activations.Importance(), shared, Format(layer, fused).Bits(), _options.Block);
    }

    /// <summary>Importance of a fused linear's columns as they are stored.</summary>
    private float[] Importance(int layer, string fused)
    {
        float[] importance = _calibration!.Layers[layer][fused].Importance();
        (double[]? factors, int[]? order) = InputTransform(layer, fused);
        return [.. Enumerable.Range(0, importance.Length).Select(i => order?[i] ?? i).Select(i => (float)(importance[i] * Math.Pow(factors?[i] ?? 1, 2)))];
    }

    /// <summary>x x^T of a fused linear's inputs as they are stored.</summary>
    private float[] Transformed(float[] gram, int layer, string fused)
    {
        (double[]? factors, int[]? order) = InputTransform(layer, fused);
        if (factors is null && order is null)
            return gram;
        int n = _calibration!.Layers[layer][fused].MeanSquares.Length;
        var result = new float[gram.Length];
        Parallel.For(0, n, i =>
        {
            int row = order?[i] ?? i;
            for (int j = 0; j < n; j++)
            {
                int column = order?[j] ?? j;
                result[(i * n) + j] = (float)(gram[(row * n) + column] * (factors?[row] ?? 1) * (factors?[column] ?? 1));
            }
        });
        return result;
    }

    /// <summary>What becomes of a fused linear's inputs: factors in the original order, then a new order.</summary>
    private (double[]? Factors, int[]? Order) InputTransform(int layer, string fused)
    {
        LayerTransforms? own = Transforms.Layers.Count > 0 ? Transforms.Layers[layer] : null;
        return fused switch
        {
            "mlp.down_proj" => (own?.Up, own?.Permutation),
            "self_attn.o_proj" when own?.Values?.Factors is { } values =>
                ([.. values.Chunk(_config.HeadSize).SelectMany(head => Enumerable.Repeat(head, _config.Heads / _config.KeyValueHeads).SelectMany(h => h))], null),
            _ => (null, null),
        };
    }
}
