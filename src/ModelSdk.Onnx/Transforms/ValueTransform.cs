using ModelSdk.Onnx.Transforms.Maps;

namespace ModelSdk.Onnx.Transforms;

/// <summary>T_v: each key/value head's values are multiplied by an invertible matrix, which the columns of o_proj of the head's group undo.</summary>
public sealed class ValueTransform
{
    private readonly double[][]? _matrices;
    private readonly double[][]? _inverses;

    private ValueTransform(double[]? factors, double[][]? matrices, double[][]? inverses)
    {
        Factors = factors;
        _matrices = matrices;
        _inverses = inverses;
    }

    /// <summary>Factor of each channel of all heads, [KVH h]; null where the transform is general.</summary>
    public double[]? Factors { get; }

    /// <summary>A matrix per head, row-major [h, h]; null where the transform is diagonal.</summary>
    public IReadOnlyList<double[]>? Matrices => _matrices;

    /// <summary>Multiplies each channel by a factor.</summary>
    /// <param name="factors">[KVH h], none 0.</param>
    public static ValueTransform Diagonal(double[] factors) => new(factors, null, null);

    /// <summary>Multiplies each head by a matrix.</summary>
    /// <param name="matrices">One per key/value head, row-major [h, h].</param>
    /// <param name="headSize">h.</param>
    /// <exception cref="ExportException">MDL4060: a matrix has another size or cannot be inverted.</exception>
    public static ValueTransform General(IReadOnlyList<double[]> matrices, int headSize)
    {
        var inverses = new double[matrices.Count][];
        for (int head = 0; head < matrices.Count; head++)
        {
            if (matrices[head].Length != headSize * headSize || !matrices[head].All(double.IsFinite))
                throw TransformCheck.Invalid($"T_v of key/value head {head} must be {headSize} x {headSize} finite numbers.");
            inverses[head] = SquareMatrix.Invert(matrices[head], headSize)
                ?? throw TransformCheck.Invalid($"T_v of key/value head {head} is singular; it must have an inverse.");
        }

        return new ValueTransform(null, [.. matrices], inverses);
    }

    internal int Heads(int headSize) => _matrices?.Length ?? Factors!.Length / headSize;

    /// <summary>The map of the values (group 1), or of the attention's output, where every query head of a group repeats it.</summary>
    internal AxisMap Map(int headSize, int group) => _matrices is null
        ? DiagonalMap.Multiply([.. Factors!.Chunk(headSize).SelectMany(head => Enumerable.Repeat(head, group).SelectMany(h => h))])
        : new BlockMap(headSize, Repeat(_matrices, group), Repeat(_inverses!, group));

    private static double[][] Repeat(double[][] perHead, int group) => [.. perHead.SelectMany(m => Enumerable.Repeat(m, group))];
}
