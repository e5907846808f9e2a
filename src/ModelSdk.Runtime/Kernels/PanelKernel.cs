using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// Sixteen rows of weights with many rows of the input: the weights are brought to a form in which the lanes of a vector are rows, so that nothing is added across lanes. A result is the
/// sum over the blocks, in order, of an exact sum of integers times both scales.
/// </summary>
internal static unsafe class PanelKernel
{
    /// <summary>Rows of weights of a panel.</summary>
    public const int Rows = 16;

    /// <summary>Rows of the input at a time.</summary>
    public const int Inputs = 4;

    /// <summary>Bytes of a panel: codes [columns / 4, 16, 4] and scales [blocks, 16].</summary>
    public static int Bytes(BlockProductShape shape) => Rows * (shape.InputStride + shape.Blocks * sizeof(float));

    /// <summary>Brings rows of weights to the form.</summary>
    /// <param name="o">Operands.</param>
    /// <param name="row">The first row; rows behind the last one are copies of it.</param>
    /// <param name="unpacked">Room for 16 rows of codes, a byte each.</param>
    /// <param name="panel">Receives <see cref="Bytes"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Fill(ref BlockOperands o, int row, byte* unpacked, byte* panel)
    {
        BlockProductShape shape = o.Shape;
        nint stride = shape.InputStride;
        float* scales = (float*)(panel + Rows * stride);
        for (int i = 0; i < Rows; i++)
        {
            int source = Math.Min(row + i, shape.Rows - 1);
            BlockCodes.Unpack(shape, o.Codes + (long)source * shape.RowBytes, unpacked + i * stride);
            for (int b = 0; b < shape.Blocks; b++)
                scales[b * Rows + i] = o.Scales[(long)source * shape.Blocks + b];
        }

        for (nint half = 0; half < Rows; half += 8)
        {
            for (nint k = 0; k < stride; k += 32)
            {
                // 8 rows of 8 groups of four codes, transposed.
                byte* from = unpacked + half * stride + k;
                Vector256<int> r0 = Vector256.Load((int*)from), r1 = Vector256.Load((int*)(from + stride));
                Vector256<int> r2 = Vector256.Load((int*)(from + 2 * stride)), r3 = Vector256.Load((int*)(from + 3 * stride));
                Vector256<int> r4 = Vector256.Load((int*)(from + 4 * stride)), r5 = Vector256.Load((int*)(from + 5 * stride));
                Vector256<int> r6 = Vector256.Load((int*)(from + 6 * stride)), r7 = Vector256.Load((int*)(from + 7 * stride));
                Vector256<long> a0 = Avx2.UnpackLow(r0, r1).AsInt64(), a1 = Avx2.UnpackHigh(r0, r1).AsInt64(), a2 = Avx2.UnpackLow(r2, r3).AsInt64(), a3 = Avx2.UnpackHigh(r2, r3).AsInt64();
                Vector256<long> a4 = Avx2.UnpackLow(r4, r5).AsInt64(), a5 = Avx2.UnpackHigh(r4, r5).AsInt64(), a6 = Avx2.UnpackLow(r6, r7).AsInt64(), a7 = Avx2.UnpackHigh(r6, r7).AsInt64();
                Vector256<long> b0 = Avx2.UnpackLow(a0, a2), b1 = Avx2.UnpackHigh(a0, a2), b2 = Avx2.UnpackLow(a1, a3), b3 = Avx2.UnpackHigh(a1, a3);
                Vector256<long> b4 = Avx2.UnpackLow(a4, a6), b5 = Avx2.UnpackHigh(a4, a6), b6 = Avx2.UnpackLow(a5, a7), b7 = Avx2.UnpackHigh(a5, a7);
                byte* to = panel + k * Rows + half * 4;
                Avx2.Permute2x128(b0, b4, 0x20).AsByte().Store(to);
                Avx2.Permute2x128(b1, b5, 0x20).AsByte().Store(to + 64);
                Avx2.Permute2x128(b2, b6, 0x20).AsByte().Store(to + 128);
                Avx2.Permute2x128(b3, b7, 0x20).AsByte().Store(to + 192);
                Avx2.Permute2x128(b0, b4, 0x31).AsByte().Store(to + 256);
                Avx2.Permute2x128(b1, b5, 0x31).AsByte().Store(to + 320);
                Avx2.Permute2x128(b2, b6, 0x31).AsByte().Store(to + 384);
                Avx2.Permute2x128(b3, b7, 0x31).AsByte().Store(to + 448);
            }
        }
    }

    /// <summary>Computes the results of a panel and four rows of the input.</summary>
    /// <typeparam name="TBits">Bits of the codes, 8 or fewer: <see cref="BlockDot.Add"/>.</typeparam>
    /// <param name="o">Operands.</param>
    /// <param name="panel">What <see cref="Fill"/> gave; of codes whose blocks are not spanned by one step of 4.</param>
    /// <param name="input">The first row of the input.</param>
    /// <param name="results">Receives [4, 16].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TBits>(ref BlockOperands o, byte* panel, int input, float* results)
        where TBits : IConstant
    {
        BlockProductShape shape = o.Shape;
        nint xs = shape.InputStride, blocks = shape.Blocks, block = shape.Block, starts = (nint)shape.Starts * RowKernels.StartLanes;
        sbyte* x = o.Input + input * xs;
        float* scale = (float*)(panel + Rows * xs);
        float* inputScale = o.InputScales + input * blocks;
        int* start = o.Starts + input * starts;
        Vector256<float> f00 = default, f01 = default, f10 = default, f11 = default, f20 = default, f21 = default, f30 = default, f31 = default;
        for (nint b = 0; b < blocks; b++)
        {
            int* first = start + shape.StartOf((int)b);
            Vector256<int> a00 = Vector256.Create(*first), a01 = a00, a10 = Vector256.Create(first[starts]), a11 = a10;
            Vector256<int> a20 = Vector256.Create(first[2 * starts]), a21 = a20, a30 = Vector256.Create(first[3 * starts]), a31 = a30;
            sbyte* end = x + block;
            do
            {
                Vector256<byte> w0 = Vector256.Load(panel), w1 = Vector256.Load(panel + 32);
                Vector256<sbyte> v = Vector256.Create(*(int*)x).AsSByte();
                a00 = BlockDot.Add<TBits>(a00, w0, v);
                a01 = BlockDot.Add<TBits>(a01, w1, v);
                v = Vector256.Create(*(int*)(x + xs)).AsSByte();
                a10 = BlockDot.Add<TBits>(a10, w0, v);
                a11 = BlockDot.Add<TBits>(a11, w1, v);
                v = Vector256.Create(*(int*)(x + 2 * xs)).AsSByte();
                a20 = BlockDot.Add<TBits>(a20, w0, v);
                a21 = BlockDot.Add<TBits>(a21, w1, v);
                v = Vector256.Create(*(int*)(x + 3 * xs)).AsSByte();
                a30 = BlockDot.Add<TBits>(a30, w0, v);
                a31 = BlockDot.Add<TBits>(a31, w1, v);
                panel += 64;
                x += 4;
            }
            while (x < end);

            Vector256<float> s0 = Vector256.Load(scale), s1 = Vector256.Load(scale + 8), t = Vector256.Create(inputScale[b]);
            f00 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a00), s0 * t, f00);
            f01 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a01), s1 * t, f01);
            t = Vector256.Create(inputScale[blocks + b]);
            f10 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a10), s0 * t, f10);
            f11 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a11), s1 * t, f11);
            t = Vector256.Create(inputScale[2 * blocks + b]);
            f20 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a20), s0 * t, f20);
            f21 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a21), s1 * t, f21);
            t = Vector256.Create(inputScale[3 * blocks + b]);
            f30 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a30), s0 * t, f30);
            f31 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a31), s1 * t, f31);
            scale += Rows;
        }

        f00.Store(results);
        f01.Store(results + 8);
        f10.Store(results + 16);
        f11.Store(results + 24);
        f20.Store(results + 32);
        f21.Store(results + 40);
        f30.Store(results + 48);
        f31.Store(results + 56);
    }
}
