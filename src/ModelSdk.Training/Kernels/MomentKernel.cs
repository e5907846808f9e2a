using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>Sums of squares over [N, C] in double precision, each value read once. Sums run in a fixed order, whatever the number of threads.</summary>
internal static unsafe class MomentKernel
{
    private const int Width = 16;

    /// <summary>Fewest vectors of columns, or rows, that are worth a thread.</summary>
    private const int Grain = 16;

    /// <summary>Adds the sum of squares of each column.</summary>
    /// <param name="x">[N, C].</param>
    /// <param name="sums">[C].</param>
    public static void AddColumnSquares<T>(Tensor x, double[] sums)
        where T : IElement
    {
        int rows = (int)x.shape[0], columns = (int)x.shape[1], vectors = columns / Width;
        void* input = KernelSupport.Pointer(x);
        Team.For(vectors, Grain, (from, to) =>
        {
            fixed (double* sum = sums)
            {
                for (var row = 0; row < rows; row++)
                {
                    for (var v = from; v < to; v++)
                    {
                        var value = T.Load(input, ((nint)row * columns) + (v * Width));
                        var (low, high) = Vector512.Widen(value * value);
                        double* at = sum + (v * Width);
                        (Vector512.Load(at) + low).Store(at);
                        (Vector512.Load(at + 8) + high).Store(at + 8);
                    }
                }
            }
        });
        for (var column = vectors * Width; column < columns; column++)
        {
            for (var row = 0; row < rows; row++)
            {
                var value = T.Get(input, ((nint)row * columns) + column);
                sums[column] += value * value;
            }
        }
    }

    /// <summary>Sum of all squares.</summary>
    /// <param name="x">[N, C].</param>
    public static double Energy<T>(Tensor x)
        where T : IElement
    {
        int rows = (int)x.shape[0], columns = (int)x.shape[1];
        void* input = KernelSupport.Pointer(x);
        var sums = new double[rows];
        Team.For(rows, Grain, (from, to) =>
        {
            for (var row = from; row < to; row++)
            {
                var at = (nint)row * columns;
                Vector512<double> lower = Vector512<double>.Zero, upper = Vector512<double>.Zero;
                var rest = 0.0;
                var i = 0;
                for (; i <= columns - Width; i += Width)
                {
                    var value = T.Load(input, at + i);
                    var (low, high) = Vector512.Widen(value * value);
                    lower += low;
                    upper += high;
                }

                for (; i < columns; i++)
                {
                    var value = T.Get(input, at + i);
                    rest += value * value;
                }

                sums[row] = Vector512.Sum(lower + upper) + rest;
            }
        });
        return sums.Sum();
    }
}
