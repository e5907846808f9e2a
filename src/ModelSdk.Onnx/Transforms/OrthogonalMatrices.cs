using ModelSdk.Onnx.Transforms.Maps;

namespace ModelSdk.Onnx.Transforms;

/// <summary>Orthogonal matrices for T_r, row-major [n, n], in double precision.</summary>
public static class OrthogonalMatrices
{
    /// <summary>
    /// A Hadamard matrix divided by sqrt(n) where one is known: products of Sylvester's (2) and Paley's (12, 20, 28, ...)
    /// constructions, which covers every width of Qwen2 and Qwen2.5. For other sizes the part of n that has none is a random rotation.
    /// </summary>
    /// <param name="n">Size, at least 1.</param>
    /// <param name="seed">Seed of the random signs of its columns, and of the random part.</param>
    public static double[] Hadamard(int n, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 1);
        var random = new Random(seed);
        double[] matrix = Kernel(n, random, out int size);
        while (size < n)
        {
            matrix = Doubled(matrix, size);
            size *= 2;
        }

        for (int column = 0; column < n; column++)
        {
            if (random.Next(2) == 0)
                continue;
            for (int row = 0; row < n; row++)
                matrix[(row * n) + column] = -matrix[(row * n) + column];
        }

        return matrix;
    }

    /// <summary>A rotation drawn evenly from all orthogonal matrices: Gram-Schmidt on normally distributed rows.</summary>
    /// <param name="n">Size, at least 1.</param>
    /// <param name="seed">Seed.</param>
    public static double[] Random(int n, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 1);
        return Random(n, new Random(seed));
    }

    /// <summary>
    /// Cayley's step: (1 + S/2)^-1 (1 - S/2) M with S = step (G M^T - M G^T), which goes down the gradient G and stays orthogonal.
    /// </summary>
    /// <param name="matrix">M, orthogonal, row-major [n, n].</param>
    /// <param name="gradient">G, the gradient of the objective by M's entries.</param>
    /// <param name="step">Learning rate.</param>
    /// <param name="n">Size.</param>
    public static double[] CayleyStep(double[] matrix, double[] gradient, double step, int n)
    {
        double[] product = SquareMatrix.Multiply(gradient, SquareMatrix.Transpose(matrix, n), n);
        double[] plus = SquareMatrix.Identity(n), minus = SquareMatrix.Identity(n);
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double half = step / 2 * (product[(i * n) + j] - product[(j * n) + i]);
                plus[(i * n) + j] += half;
                minus[(i * n) + j] -= half;
            }
        }

        // 1 + S/2 with S skew-symmetric always has an inverse: its eigenvalues are 1 + i x.
        double[] turn = SquareMatrix.Multiply(SquareMatrix.Invert(plus, n)!, minus, n);
        return SquareMatrix.Multiply(turn, matrix, n);
    }

    /// <summary>The smallest orthogonal matrix whose size times a power of two is n.</summary>
    private static double[] Kernel(int n, Random random, out int size)
    {
        int odd = n;
        while (odd % 2 == 0)
            odd /= 2;
        if (odd == 1)
        {
            size = 1;
            return [1];
        }

        for (size = odd; size <= n && n % size == 0; size *= 2)
        {
            if (Paley(size) is { } known)
                return known;
        }

        size = odd;
        return Random(odd, random);
    }

    /// <summary>Paley's matrix of order n where n - 1 is a prime of the form 4k + 3, or n / 2 - 1 one of the form 4k + 1; null otherwise.</summary>
    private static double[]? Paley(int n)
    {
        double scale = 1 / Math.Sqrt(n);
        if (n % 4 == 0 && IsPrime(n - 1))
            return [.. Jacobsthal(n - 1, skew: true).Select((v, i) => scale * (v + (i / n == i % n ? 1 : 0)))];
        int half = n / 2;
        if (n % 4 != 0 || half % 4 != 2 || !IsPrime(half - 1))
            return null;

        // Each 0 of the symmetric conference matrix becomes [1 -1; -1 -1], each +-1 becomes +-[1 1; 1 -1].
        int[] conference = Jacobsthal(half - 1, skew: false);
        var matrix = new double[n * n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                int v = conference[(i / 2 * half) + (j / 2)];
                int sign = v == 0 ? (i % 2 == 0 && j % 2 == 0 ? 1 : -1) : v * (i % 2 == 1 && j % 2 == 1 ? -1 : 1);
                matrix[(i * n) + j] = scale * sign;
            }
        }

        return matrix;
    }

    /// <summary>The bordered matrix of quadratic residues modulo a prime, [q + 1, q + 1]: zeros on the diagonal, +-1 elsewhere.</summary>
    private static int[] Jacobsthal(int prime, bool skew)
    {
        var residue = new bool[prime];
        for (long i = 1; i < prime; i++)
            residue[i * i % prime] = true;
        int n = prime + 1;
        var matrix = new int[n * n];
        for (int i = 1; i < n; i++)
        {
            matrix[i] = 1;
            matrix[i * n] = skew ? -1 : 1;
            for (int j = 1; j < n; j++)
                matrix[(i * n) + j] = i == j ? 0 : residue[(i - j + prime) % prime] ? 1 : -1;
        }

        return matrix;
    }

    private static bool IsPrime(int n)
    {
        for (int i = 2; i * i <= n; i++)
        {
            if (n % i == 0)
                return false;
        }

        return n > 1;
    }

    /// <summary>[M M; M -M] / sqrt(2).</summary>
    private static double[] Doubled(double[] matrix, int n)
    {
        int m = 2 * n;
        double scale = Math.Sqrt(0.5);
        var result = new double[m * m];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < m; j++)
                result[(i * m) + j] = scale * (i >= n && j >= n ? -1 : 1) * matrix[(i % n * n) + (j % n)];
        }

        return result;
    }

    private static double[] Random(int n, Random random)
    {
        var matrix = new double[n * n];
        for (int row = 0; row < n; row++)
        {
            Span<double> target = matrix.AsSpan(row * n, n);
            for (int i = 0; i < n; i++)
                target[i] = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            // Twice is enough: the second pass removes what rounding left of the first.
            for (int pass = 0; pass < 2; pass++)
            {
                for (int other = 0; other < row; other++)
                    Subtract(target, matrix.AsSpan(other * n, n));
                Normalize(target);
            }
        }

        return matrix;
    }

    private static void Subtract(Span<double> row, ReadOnlySpan<double> unit)
    {
        double dot = 0;
        for (int i = 0; i < row.Length; i++)
            dot += row[i] * unit[i];
        for (int i = 0; i < row.Length; i++)
            row[i] -= dot * unit[i];
    }

    private static void Normalize(Span<double> row)
    {
        double norm = 0;
        foreach (double value in row)
            norm += value * value;
        norm = Math.Sqrt(norm);
        for (int i = 0; i < row.Length; i++)
            row[i] /= norm;
    }
}
