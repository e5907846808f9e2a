namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>Applies maps along the two axes of a matrix, over all cores.</summary>
internal static class MatrixMapping
{
    /// <summary>Columns that are gathered at a time, so that every touched cache line is used whole.</summary>
    private const int ColumnTile = 8;

    /// <summary>W &lt;- W M^T: every row w becomes M w.</summary>
    /// <param name="matrix">Row-major [rows, M.Size].</param>
    /// <param name="map">M.</param>
    public static void Rows(double[] matrix, AxisMap map)
    {
        int width = map.Size;
        Parallel.For(0, matrix.Length / width, row => map.Apply(matrix.AsSpan(row * width, width)));
    }

    /// <summary>W &lt;- M W: every column c becomes M c.</summary>
    /// <param name="matrix">Row-major [M.Size, columns].</param>
    /// <param name="map">M.</param>
    public static void Columns(double[] matrix, AxisMap map)
    {
        int rows = map.Size;
        int columns = matrix.Length / rows;
        int tiles = (columns + ColumnTile - 1) / ColumnTile;
        Parallel.For(0, tiles, () => new double[ColumnTile * rows], (tile, _, buffer) =>
        {
            int first = tile * ColumnTile;
            int count = Math.Min(ColumnTile, columns - first);
            for (int row = 0; row < rows; row++)
            {
                for (int c = 0; c < count; c++)
                    buffer[(c * rows) + row] = matrix[(row * columns) + first + c];
            }

            for (int c = 0; c < count; c++)
                map.Apply(buffer.AsSpan(c * rows, rows));
            for (int row = 0; row < rows; row++)
            {
                for (int c = 0; c < count; c++)
                    matrix[(row * columns) + first + c] = buffer[(c * rows) + row];
            }

            return buffer;
        }, _ => { });
    }
}
