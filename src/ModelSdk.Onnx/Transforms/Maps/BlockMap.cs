namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>Multiplies runs of the vector, all of one width, by one square matrix each.</summary>
/// <param name="width">Width of a run.</param>
/// <param name="blocks">A matrix per run, row-major [width, width]; the same array may serve several runs.</param>
/// <param name="inverses">Their inverses.</param>
internal sealed class BlockMap(int width, double[][] blocks, double[][] inverses) : AxisMap
{
    public override int Size => width * blocks.Length;

    public override AxisMap Inverse => new BlockMap(width, inverses, blocks);

    public override AxisMap Transposed => new BlockMap(width, Transpose(blocks), Transpose(inverses));

    /// <summary>One orthogonal matrix over the whole vector.</summary>
    /// <param name="matrix">Row-major [size, size].</param>
    /// <param name="size">Length of the vectors.</param>
    public static BlockMap Orthogonal(double[] matrix, int size) => new(size, [matrix], [SquareMatrix.Transpose(matrix, size)]);

    public override void Apply(Span<double> x)
    {
        double[] old = x.ToArray();
        for (int i = 0; i < blocks.Length; i++)
            SquareMatrix.Multiply(blocks[i], old.AsSpan(i * width, width), x.Slice(i * width, width));
    }

    private double[][] Transpose(double[][] matrices)
    {
        // Heads of a group share a matrix; its transpose is made once.
        var made = new Dictionary<double[], double[]>(ReferenceEqualityComparer.Instance);
        return [.. matrices.Select(m => made.TryGetValue(m, out double[]? t) ? t : made[m] = SquareMatrix.Transpose(m, width))];
    }
}
