namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>Square matrices in double precision, row-major [n, n].</summary>
internal static class SquareMatrix
{
    /// <summary>The identity.</summary>
    public static double[] Identity(int n)
    {
        var matrix = new double[n * n];
        for (int i = 0; i < n; i++)
            matrix[(i * n) + i] = 1;
        return matrix;
    }

    /// <summary>M^T.</summary>
    public static double[] Transpose(double[] matrix, int n)
    {
        var result = new double[n * n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
                result[(j * n) + i] = matrix[(i * n) + j];
        }

        return result;
    }

    /// <summary>y = M x. The order of the sums does not depend on the machine's vector width.</summary>
    public static void Multiply(double[] matrix, ReadOnlySpan<double> x, Span<double> y)
    {
        int n = x.Length;
        for (int i = 0; i < n; i++)
            y[i] = FixedOrderSum.Dot(matrix.AsSpan(i * n, n), x);
    }

    /// <summary>A B.</summary>
    public static double[] Multiply(double[] a, double[] b, int n)
    {
        double[] columns = Transpose(b, n);
        var result = new double[n * n];
        Parallel.For(0, n, i =>
        {
            for (int j = 0; j < n; j++)
                result[(i * n) + j] = FixedOrderSum.Dot(a.AsSpan(i * n, n), columns.AsSpan(j * n, n));
        });
        return result;
    }

    /// <summary>M^-1 by Gauss and Jordan with pivoting; null where M is singular to working precision.</summary>
    public static double[]? Invert(double[] matrix, int n)
    {
        double[] left = [.. matrix];
        double[] right = Identity(n);
        double size = matrix.Max(Math.Abs);
        for (int column = 0; column < n; column++)
        {
            int pivot = column;
            for (int row = column + 1; row < n; row++)
            {
                if (Math.Abs(left[(row * n) + column]) > Math.Abs(left[(pivot * n) + column]))
                    pivot = row;
            }

            double value = left[(pivot * n) + column];
            if (!(Math.Abs(value) > size * n * 1e-15))
                return null;
            Swap(left, column, pivot, n);
            Swap(right, column, pivot, n);
            Divide(left.AsSpan(column * n, n), value);
            Divide(right.AsSpan(column * n, n), value);
            for (int row = 0; row < n; row++)
            {
                double factor = left[(row * n) + column];
                if (row == column || factor == 0)
                    continue;
                Subtract(left.AsSpan(row * n, n), left.AsSpan(column * n, n), factor);
                Subtract(right.AsSpan(row * n, n), right.AsSpan(column * n, n), factor);
            }
        }

        return right;
    }

    /// <summary>Greatest |(M M^T - 1)[i, j]|.</summary>
    public static double OrthogonalityError(double[] matrix, int n)
    {
        var worst = new double[n];
        Parallel.For(0, n, i =>
        {
            for (int j = 0; j <= i; j++)
                worst[i] = Math.Max(worst[i], Math.Abs(FixedOrderSum.Dot(matrix.AsSpan(i * n, n), matrix.AsSpan(j * n, n)) - (i == j ? 1 : 0)));
        });
        return worst.Max();
    }

    private static void Swap(double[] matrix, int a, int b, int n)
    {
        if (a == b)
            return;
        for (int i = 0; i < n; i++)
            (matrix[(a * n) + i], matrix[(b * n) + i]) = (matrix[(b * n) + i], matrix[(a * n) + i]);
    }

    private static void Divide(Span<double> row, double by)
    {
        for (int i = 0; i < row.Length; i++)
            row[i] /= by;
    }

    private static void Subtract(Span<double> row, ReadOnlySpan<double> other, double factor)
    {
        for (int i = 0; i < row.Length; i++)
            row[i] -= factor * other[i];
    }
}
