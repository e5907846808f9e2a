using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// Rows of 8-bit codes that are one block each, as the second product of an adapter has them: so short that adding across lanes is most of the work, which eight rows share.
/// A result is an exact sum of integers times both scales.
/// </summary>
internal static unsafe class OneBlockKernel
{
    private const int Rows = 8;

    /// <summary>Computes some rows of weights with all rows of the input.</summary>
    /// <param name="o">Operands; of a shape with one block of 8 bits whose input is rounded.</param>
    /// <param name="firstRow">The first row of weights.</param>
    /// <param name="endRow">The one behind the last.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(ref BlockOperands o, int firstRow, int endRow)
    {
        nint bytes = o.Shape.Block, stride = o.Shape.InputStride, starts = (nint)o.Shape.Starts * RowKernels.StartLanes;
        nint row = firstRow;
        for (; row + Rows <= endRow; row += Rows)
        {
            byte* w = o.Codes + row * bytes;
            Vector256<float> scales = Vector256.Load(o.Scales + row);
            for (nint i = 0; i < o.Inputs; i++)
            {
                Vector256<int> sums = bytes == 16 ? SumsOf16(w, o.Input + i * stride) : Sums(w, o.Input + i * stride, bytes);
                Vector256<float> result = Vector256.ConvertToSingle(sums + Vector256.Create(o.Starts[i * starts])) * (scales * Vector256.Create(o.InputScales[i]));
                if (o.Bias is not null)
                    result += Vector256.Load(o.Bias + i * o.BiasStride + row);
                result.Store(o.Output + i * o.OutputStride + row);
            }
        }

        for (; row < endRow; row++)
        {
            for (nint i = 0; i < o.Inputs; i++)
            {
                byte* w = o.Codes + row * bytes;
                sbyte* x = o.Input + i * stride;
                int sum = o.Starts[i * starts];
                for (nint k = 0; k < bytes; k++)
                    sum += w[k] * x[k];
                float result = sum * (o.Scales[row] * o.InputScales[i]);
                o.Output[i * o.OutputStride + row] = o.Bias is null ? result : result + o.Bias[i * o.BiasStride + row];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sums(byte* w, sbyte* x, nint bytes)
    {
        Vector256<int> a0 = default, a1 = default, a2 = default, a3 = default, a4 = default, a5 = default, a6 = default, a7 = default;
        nint at = 0;
        do
        {
            Vector256<sbyte> v = Vector256.Load(x + at);
            byte* from = w + at;
            a0 = BlockDot.Add<Eight>(a0, Vector256.Load(from), v);
            a1 = BlockDot.Add<Eight>(a1, Vector256.Load(from + bytes), v);
            a2 = BlockDot.Add<Eight>(a2, Vector256.Load(from + 2 * bytes), v);
            a3 = BlockDot.Add<Eight>(a3, Vector256.Load(from + 3 * bytes), v);
            from += 4 * bytes;
            a4 = BlockDot.Add<Eight>(a4, Vector256.Load(from), v);
            a5 = BlockDot.Add<Eight>(a5, Vector256.Load(from + bytes), v);
            a6 = BlockDot.Add<Eight>(a6, Vector256.Load(from + 2 * bytes), v);
            a7 = BlockDot.Add<Eight>(a7, Vector256.Load(from + 3 * bytes), v);
            at += 32;
        }
        while (at < bytes);

        // Of each row a number in either half.
        Vector256<int> low = Avx2.HorizontalAdd(Avx2.HorizontalAdd(a0, a1), Avx2.HorizontalAdd(a2, a3));
        Vector256<int> high = Avx2.HorizontalAdd(Avx2.HorizontalAdd(a4, a5), Avx2.HorizontalAdd(a6, a7));
        return Avx2.Permute2x128(low, high, 0x20) + Avx2.Permute2x128(low, high, 0x31);
    }

    /// <summary>Two rows a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> SumsOf16(byte* w, sbyte* x)
    {
        Vector256<sbyte> v = Vector256.Create(Vector128.Load(x), Vector128.Load(x));
        Vector256<int> a0 = BlockDot.Add<Eight>(default, Vector256.Load(w), v), a1 = BlockDot.Add<Eight>(default, Vector256.Load(w + 32), v);
        Vector256<int> a2 = BlockDot.Add<Eight>(default, Vector256.Load(w + 64), v), a3 = BlockDot.Add<Eight>(default, Vector256.Load(w + 96), v);
        Vector256<int> even = Avx2.HorizontalAdd(Avx2.HorizontalAdd(a0, a1), Avx2.HorizontalAdd(a2, a3));
        return Avx2.PermuteVar8x32(even, Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7));
    }
}
