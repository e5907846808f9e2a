using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms.Maps;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Transforms;

/// <summary>
/// A model seen through transforms: it computes the same function with other weights. Weights are transformed one by one as
/// they are asked for, in double precision, biases too. Also moves adapters from the original base to the transformed one and back, exactly.
/// </summary>
public sealed class TransformedModel
{
    private readonly TransformerConfig _original;
    private readonly ModelTransforms _transforms;
    private readonly Func<string, double[]> _read;
    private readonly AxisMap? _residual;

    /// <summary>Sets transforms upon a model; nothing is read yet.</summary>
    /// <param name="config">Shape of the original model.</param>
    /// <param name="read">Gives the original's values by Hugging Face name, row-major, linears [out, in]; a new array at each call.</param>
    /// <param name="transforms">What to change.</param>
    /// <exception cref="ExportException">MDL4060: a transform does not fit the model or cannot be undone.</exception>
    public TransformedModel(TransformerConfig config, Func<string, double[]> read, ModelTransforms transforms)
    {
        TransformCheck.Check(transforms, config);
        _original = config;
        _transforms = transforms;
        _read = read;
        // R is written for row vectors, E R; as a map of column vectors it is R^T.
        _residual = transforms.Residual is { } r ? BlockMap.Orthogonal(r, config.HiddenSize).Transposed : null;
        Config = config with { TiedEmbeddings = config.TiedEmbeddings && !transforms.FoldNorms };
    }

    /// <summary>Sets transforms upon a checkpoint.</summary>
    /// <param name="checkpoint">The original; must stay open.</param>
    /// <param name="transforms">What to change.</param>
    /// <exception cref="ExportException">MDL4060: a transform does not fit the model or cannot be undone.</exception>
    public TransformedModel(Checkpoint checkpoint, ModelTransforms transforms)
        : this(checkpoint.Config, name => Array.ConvertAll(checkpoint.Read(name), v => (double)v), transforms)
    {
    }

    /// <summary>Shape of the transformed model: the original's, with a head of its own where norms are folded.</summary>
    public TransformerConfig Config { get; }

    /// <summary>What is changed.</summary>
    public ModelTransforms Transforms => _transforms;

    /// <summary>A transformed tensor, row-major.</summary>
    /// <param name="name">Hugging Face name.</param>
    public double[] Read(string name)
    {
        if (name == Qwen2Tensors.Embedding)
            return ReadEmbedding();
        if (name.EndsWith("norm.weight", StringComparison.Ordinal))
            return ReadNorm(name);
        (AxisMap? rows, AxisMap? columns) = MapsOf(name);
        double[] values = _read(name == Qwen2Tensors.Head && _original.TiedEmbeddings ? Qwen2Tensors.Embedding : name);
        if (rows is not null)
            MatrixMapping.Rows(values, rows);
        if (columns is null)
            return values;
        if (name.EndsWith(".bias", StringComparison.Ordinal))
            columns.Apply(values);
        else
            MatrixMapping.Columns(values, columns);
        return values;
    }

    /// <summary>A transformed tensor, rounded to singles.</summary>
    /// <param name="name">Hugging Face name.</param>
    public float[] ReadSingles(string name) => Array.ConvertAll(Read(name), v => (float)v);

    /// <summary>What is done to a linear's weight or bias: every row w becomes Rows w, then every column Columns c; null is the identity.</summary>
    /// <param name="name">Hugging Face name of the tensor.</param>
    internal (AxisMap? Rows, AxisMap? Columns) MapsOf(string name)
    {
        (AxisMap? input, AxisMap? output) = Maps(name[..name.LastIndexOf('.')]);
        return (name.EndsWith(".bias", StringComparison.Ordinal) ? null : input?.Inverse.Transposed, output);
    }

    /// <summary>Moves an adapter of the original base onto the transformed one: A T_in^-1, T_out B.</summary>
    /// <param name="adapter">Trained on the original.</param>
    /// <exception cref="ExportException">MDL4012: it adapts a linear that this model lacks, or of another shape.</exception>
    public LoraAdapter ToTransformed(LoraAdapter adapter) => Rebase(adapter, (input, output) => (input?.Inverse.Transposed, output));

    /// <summary>Moves an adapter of the transformed base back onto the original one: A T_in, T_out^-1 B.</summary>
    /// <param name="adapter">Trained on the transformed base.</param>
    /// <exception cref="ExportException">MDL4012: it adapts a linear that this model lacks, or of another shape.</exception>
    public LoraAdapter ToOriginal(LoraAdapter adapter) => Rebase(adapter, (input, output) => (input?.Transposed, output?.Inverse));

    private double[] ReadEmbedding()
    {
        double[] values = _read(Qwen2Tensors.Embedding);
        if (_residual is not null)
            MatrixMapping.Rows(values, _residual);
        return values;
    }

    private double[] ReadNorm(string name)
    {
        double[] gain = _read(name);
        if (_transforms.FoldNorms)
            Array.Fill(gain, 1);
        return gain;
    }

    /// <summary>T_in and T_out of a linear, from its input's and to its output's new basis; null is the identity.</summary>
    private (AxisMap? Input, AxisMap? Output) Maps(string module)
    {
        if (module == "lm_head")
            return (Normalized("model.norm.weight"), null);

        string[] path = module.Split('.');
        LayerTransforms? layer = _transforms.Layers.Count > 0 && path.Length > 2 ? _transforms.Layers[int.Parse(path[2], System.Globalization.CultureInfo.InvariantCulture)] : null;
        string prefix = path.Length > 2 ? string.Join('.', path[..3]) : "";
        int size = _original.HeadSize;
        int group = _original.Heads / _original.KeyValueHeads;
        return path[^1] switch
        {
            "q_proj" => (Normalized($"{prefix}.input_layernorm.weight"), layer?.Keys?.QueryMap(size, group)),
            "k_proj" => (Normalized($"{prefix}.input_layernorm.weight"), layer?.Keys?.Map(size)),
            "v_proj" => (Normalized($"{prefix}.input_layernorm.weight"), layer?.Values?.Map(size, 1)),
            "o_proj" => (layer?.Values?.Map(size, group), _residual),
            "gate_proj" => (Normalized($"{prefix}.post_attention_layernorm.weight"), Permutation(layer)),
            "up_proj" => (Normalized($"{prefix}.post_attention_layernorm.weight"), Up(layer)),
            "down_proj" => (Up(layer), _residual),
            _ => throw new ArgumentException($"{module} is no linear of a {_original.Type} model.", nameof(module)),
        };
    }

    /// <summary>What a norm gives: without its gain when that is folded into the readers, and rotated with the residual stream.</summary>
    private AxisMap? Normalized(string norm)
        => _transforms.FoldNorms ? AxisMap.Sequence(DiagonalMap.Divide(_read(norm)), _residual) : null;

    private static PermutationMap? Permutation(LayerTransforms? layer) => layer?.Permutation is { } order ? new PermutationMap(order) : null;

    private static AxisMap? Up(LayerTransforms? layer)
        => AxisMap.Sequence(layer?.Up is { } factors ? DiagonalMap.Multiply(factors) : null, Permutation(layer));

    private LoraAdapter Rebase(LoraAdapter adapter, Func<AxisMap?, AxisMap?, (AxisMap? Rows, AxisMap? Columns)> direction)
    {
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(_original).ToDictionary(t => t.Name, t => t.Shape);
        return adapter with
        {
            Linears = adapter.Linears.Values.ToDictionary(l => l.Name, linear =>
            {
                if (!shapes.TryGetValue(linear.Name + ".weight", out long[]? shape) || shape.Length != 2 || shape[0] != linear.OutFeatures || shape[1] != linear.InFeatures)
                    throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter changes {linear.Name} [{linear.OutFeatures}, {linear.InFeatures}], which the base does not have in that shape.");
                (AxisMap? input, AxisMap? output) = Maps(linear.Name);
                (AxisMap? rows, AxisMap? columns) = direction(input, output);
                return linear with { A = Mapped(linear.A, rows, MatrixMapping.Rows), B = Mapped(linear.B, columns, MatrixMapping.Columns) };
            }, StringComparer.Ordinal),
        };
    }

    private static float[] Mapped(float[] matrix, AxisMap? map, Action<double[], AxisMap> apply)
    {
        if (map is null)
            return matrix;
        double[] values = Array.ConvertAll(matrix, v => (double)v);
        apply(values, map);
        return Array.ConvertAll(values, v => (float)v);
    }
}
