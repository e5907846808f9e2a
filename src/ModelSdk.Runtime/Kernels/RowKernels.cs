using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// Products of some rows of weights with one, two or four rows of the input. Weights are read once, in the order in which they lie, which is what few rows of the input take their time for.
/// A result is the sum over the blocks, in order and lane by lane, of an exact sum of integers times both scales; then the sum of the lanes. So it does not depend on which rows are
/// computed together.
/// </summary>
internal static unsafe class RowKernels
{
    /// <summary>Numbers that a block's sum starts from: a vector.</summary>
    public const int StartLanes = 8;

    /// <summary>Bytes ahead of those in use that are asked for from memory: about its latency times its rate.</summary>
    private const int Ahead = 8192;

    /// <summary>4 bits in blocks of 64 or more; the codes as they are stored.</summary>
    /// <typeparam name="TInputs">Rows of the input: 1, 2 or 4.</typeparam>
    /// <param name="o">Operands.</param>
    /// <param name="firstRow">The first row of weights.</param>
    /// <param name="endRow">The one behind the last.</param>
    /// <param name="input">The first row of the input.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows4<TInputs>(ref BlockOperands o, int firstRow, int endRow, int input)
        where TInputs : IConstant
    {
        nint stride = o.Shape.InputStride, blocks = o.Shape.Blocks, starts = (nint)o.Shape.Starts * StartLanes, outputs = o.OutputStride, biases = o.BiasStride;
        nint bytes = o.Shape.Block / 2;
        sbyte* x0 = o.Input + input * stride;
        float* s0 = o.InputScales + input * blocks;
        int* c0 = o.Starts + input * starts;
        byte* w = o.Codes + (long)firstRow * o.Shape.RowBytes;
        float* scale = o.Scales + firstRow * blocks;
        float* bias = o.Bias is null ? null : o.Bias + input * biases;
        float* output = o.Output + input * outputs;
        Vector256<byte> mask = Vector256.Create((byte)15);
        Prefetch(w, (long)(endRow - firstRow) * o.Shape.RowBytes);
        for (nint row = firstRow; row < endRow; row++)
        {
            Vector256<float> f0 = default, f1 = default, f2 = default, f3 = default;
            sbyte* x = x0;
            int* c = c0;
            for (nint b = 0; b < blocks; b++)
            {
                Vector256<int> a0 = Vector256.Load(c), a1 = default, a2 = default, a3 = default;
                if (TInputs.Value > 1)
                    a1 = Vector256.Load(c + starts);
                if (TInputs.Value > 2)
                {
                    a2 = Vector256.Load(c + 2 * starts);
                    a3 = Vector256.Load(c + 3 * starts);
                }

                byte* end = w + bytes;
                do
                {
                    Sse.Prefetch0(w + Ahead);
                    Vector256<byte> v = Vector256.Load(w);
                    Vector256<byte> low = v & mask;
                    Vector256<byte> high = (v.AsUInt16() >>> 4).AsByte() & mask;
                    a0 = BlockDot.Add<Four>(BlockDot.Add<Four>(a0, low, Vector256.Load(x)), high, Vector256.Load(x + 32));
                    if (TInputs.Value > 1)
                        a1 = BlockDot.Add<Four>(BlockDot.Add<Four>(a1, low, Vector256.Load(x + stride)), high, Vector256.Load(x + stride + 32));
                    if (TInputs.Value > 2)
                    {
                        a2 = BlockDot.Add<Four>(BlockDot.Add<Four>(a2, low, Vector256.Load(x + 2 * stride)), high, Vector256.Load(x + 2 * stride + 32));
                        a3 = BlockDot.Add<Four>(BlockDot.Add<Four>(a3, low, Vector256.Load(x + 3 * stride)), high, Vector256.Load(x + 3 * stride + 32));
                    }

                    w += 32;
                    x += 64;
                }
                while (w < end);

                float s = scale[b];
                f0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a0), Vector256.Create(s * s0[b]), f0);
                if (TInputs.Value > 1)
                    f1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a1), Vector256.Create(s * s0[blocks + b]), f1);
                if (TInputs.Value > 2)
                {
                    f2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a2), Vector256.Create(s * s0[2 * blocks + b]), f2);
                    f3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a3), Vector256.Create(s * s0[3 * blocks + b]), f3);
                }

                c += StartLanes;
            }

            scale += blocks;
            output[row] = Vector256.Sum(f0) + (bias is null ? 0 : bias[row]);
            if (TInputs.Value > 1)
                output[row + outputs] = Vector256.Sum(f1) + (bias is null ? 0 : bias[row + biases]);
            if (TInputs.Value > 2)
            {
                output[row + 2 * outputs] = Vector256.Sum(f2) + (bias is null ? 0 : bias[row + 2 * biases]);
                output[row + 3 * outputs] = Vector256.Sum(f3) + (bias is null ? 0 : bias[row + 3 * biases]);
            }
        }
    }


    /// <summary>4 bits in blocks of 32, two at a time; the codes as they are stored.</summary>
    /// <typeparam name="TInputs">Rows of the input: 1, 2 or 4.</typeparam>
    /// <param name="o">Operands.</param>
    /// <param name="firstRow">The first row of weights.</param>
    /// <param name="endRow">The one behind the last.</param>
    /// <param name="input">The first row of the input.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows4Of32<TInputs>(ref BlockOperands o, int firstRow, int endRow, int input)
        where TInputs : IConstant
    {
        nint stride = o.Shape.InputStride, blocks = o.Shape.Blocks, starts = (nint)o.Shape.Starts * StartLanes, outputs = o.OutputStride, biases = o.BiasStride;
        sbyte* x0 = o.Input + input * stride;
        float* s0 = o.InputScales + input * blocks;
        int* c0 = o.Starts + input * starts;
        byte* w = o.Codes + (long)firstRow * o.Shape.RowBytes;
        float* scale = o.Scales + firstRow * blocks;
        float* bias = o.Bias is null ? null : o.Bias + input * biases;
        float* output = o.Output + input * outputs;
        Vector256<byte> mask = Vector256.Create((byte)15);
        Vector256<int> lanes = Vector256.Create(0, 0, 0, 0, 1, 1, 1, 1);
        for (nint row = firstRow; row < endRow; row++)
        {
            Vector256<float> f0 = default, f1 = default, f2 = default, f3 = default;
            sbyte* x = x0;
            int* c = c0;
            for (nint b = 0; b < blocks; b += 2)
            {
                Vector256<int> a0 = Vector256.Load(c), a1 = default, a2 = default, a3 = default;
                if (TInputs.Value > 1)
                    a1 = Vector256.Load(c + starts);
                if (TInputs.Value > 2)
                {
                    a2 = Vector256.Load(c + 2 * starts);
                    a3 = Vector256.Load(c + 3 * starts);
                }

                Sse.Prefetch0(w + Ahead);
                Vector256<byte> v = Vector256.Load(w);
                Vector256<byte> low = v & mask;
                Vector256<byte> high = (v.AsUInt16() >>> 4).AsByte() & mask;
                a0 = BlockDot.Add<Four>(BlockDot.Add<Four>(a0, low, Vector256.Load(x)), high, Vector256.Load(x + 32));
                if (TInputs.Value > 1)
                    a1 = BlockDot.Add<Four>(BlockDot.Add<Four>(a1, low, Vector256.Load(x + stride)), high, Vector256.Load(x + stride + 32));
                if (TInputs.Value > 2)
                {
                    a2 = BlockDot.Add<Four>(BlockDot.Add<Four>(a2, low, Vector256.Load(x + 2 * stride)), high, Vector256.Load(x + 2 * stride + 32));
                    a3 = BlockDot.Add<Four>(BlockDot.Add<Four>(a3, low, Vector256.Load(x + 3 * stride)), high, Vector256.Load(x + 3 * stride + 32));
                }

                w += 32;
                x += 64;
                Vector128<float> s = Two(scale + b);
                f0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a0), Spread(s * Two(s0 + b), lanes), f0);
                if (TInputs.Value > 1)
                    f1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a1), Spread(s * Two(s0 + blocks + b), lanes), f1);
                if (TInputs.Value > 2)
                {
                    f2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a2), Spread(s * Two(s0 + 2 * blocks + b), lanes), f2);
                    f3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a3), Spread(s * Two(s0 + 3 * blocks + b), lanes), f3);
                }

                c += StartLanes;
            }

            scale += blocks;
            output[row] = Vector256.Sum(f0) + (bias is null ? 0 : bias[row]);
            if (TInputs.Value > 1)
                output[row + outputs] = Vector256.Sum(f1) + (bias is null ? 0 : bias[row + biases]);
            if (TInputs.Value > 2)
            {
                output[row + 2 * outputs] = Vector256.Sum(f2) + (bias is null ? 0 : bias[row + 2 * biases]);
                output[row + 3 * outputs] = Vector256.Sum(f3) + (bias is null ? 0 : bias[row + 3 * biases]);
            }
        }
    }


    /// <summary>A byte a code, in blocks of 32 or more.</summary>
    /// <typeparam name="TInputs">Rows of the input: 1, 2 or 4.</typeparam>
    /// <param name="o">Operands.</param>
    /// <param name="codes">The weights' codes from the first row on.</param>
    /// <param name="firstRow">The first row of weights.</param>
    /// <param name="endRow">The one behind the last.</param>
    /// <param name="input">The first row of the input.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows8<TInputs>(ref BlockOperands o, byte* codes, int firstRow, int endRow, int input)
        where TInputs : IConstant
    {
        nint stride = o.Shape.InputStride, blocks = o.Shape.Blocks, starts = (nint)o.Shape.Starts * StartLanes, outputs = o.OutputStride, biases = o.BiasStride;
        nint bytes = o.Shape.Block;
        sbyte* x0 = o.Input + input * stride;
        float* s0 = o.InputScales + input * blocks;
        int* c0 = o.Starts + input * starts;
        byte* w = codes;
        float* scale = o.Scales + firstRow * blocks;
        float* bias = o.Bias is null ? null : o.Bias + input * biases;
        float* output = o.Output + input * outputs;
        Prefetch(w, (long)(endRow - firstRow) * o.Shape.RowBytes);
        for (nint row = firstRow; row < endRow; row++)
        {
            Vector256<float> f0 = default, f1 = default, f2 = default, f3 = default;
            sbyte* x = x0;
            int* c = c0;
            for (nint b = 0; b < blocks; b++)
            {
                Vector256<int> a0 = Vector256.Load(c), a1 = default, a2 = default, a3 = default;
                if (TInputs.Value > 1)
                    a1 = Vector256.Load(c + starts);
                if (TInputs.Value > 2)
                {
                    a2 = Vector256.Load(c + 2 * starts);
                    a3 = Vector256.Load(c + 3 * starts);
                }

                byte* end = w + bytes;
                do
                {
                    Sse.Prefetch0(w + Ahead);
                    Vector256<byte> v = Vector256.Load(w);
                    a0 = BlockDot.Add<Eight>(a0, v, Vector256.Load(x));
                    if (TInputs.Value > 1)
                        a1 = BlockDot.Add<Eight>(a1, v, Vector256.Load(x + stride));
                    if (TInputs.Value > 2)
                    {
                        a2 = BlockDot.Add<Eight>(a2, v, Vector256.Load(x + 2 * stride));
                        a3 = BlockDot.Add<Eight>(a3, v, Vector256.Load(x + 3 * stride));
                    }

                    w += 32;
                    x += 32;
                }
                while (w < end);

                float s = scale[b];
                f0 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a0), Vector256.Create(s * s0[b]), f0);
                if (TInputs.Value > 1)
                    f1 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a1), Vector256.Create(s * s0[blocks + b]), f1);
                if (TInputs.Value > 2)
                {
                    f2 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a2), Vector256.Create(s * s0[2 * blocks + b]), f2);
                    f3 = Fma.MultiplyAdd(Vector256.ConvertToSingle(a3), Vector256.Create(s * s0[3 * blocks + b]), f3);
                }

                c += StartLanes;
            }

            scale += blocks;
            output[row] = Vector256.Sum(f0) + (bias is null ? 0 : bias[row]);
            if (TInputs.Value > 1)
                output[row + outputs] = Vector256.Sum(f1) + (bias is null ? 0 : bias[row + biases]);
            if (TInputs.Value > 2)
            {
                output[row + 2 * outputs] = Vector256.Sum(f2) + (bias is null ? 0 : bias[row + 2 * biases]);
                output[row + 3 * outputs] = Vector256.Sum(f3) + (bias is null ? 0 : bias[row + 3 * biases]);
            }
        }
    }


    /// <summary>One row of weights, a byte a code, in blocks of 16, two at a time.</summary>
    /// <param name="o">Operands.</param>
    /// <param name="codes">The row's codes, with anything up to a multiple of 32 behind them.</param>
    /// <param name="row">The row of weights.</param>
    /// <param name="input">The row of the input.</param>
    public static void Row8Of16(ref BlockOperands o, byte* codes, int row, int input)
    {
        nint blocks = o.Shape.Blocks;
        sbyte* x = o.Input + (long)input * o.Shape.InputStride;
        float* scale = o.Scales + row * blocks;
        float* inputScale = o.InputScales + input * blocks;
        int* c = o.Starts + (nint)input * o.Shape.Starts * StartLanes;
        Vector256<float> sums = default;
        for (nint b = 0; b < blocks; b += 2)
        {
            Vector256<int> products = BlockDot.Add<Eight>(Vector256.Load(c), Vector256.Load(codes), Vector256.Load(x));
            Vector128<float> first = Vector128.Create(scale[b] * inputScale[b]);
            Vector128<float> second = b + 1 < blocks ? Vector128.Create(scale[b + 1] * inputScale[b + 1]) : default;
            sums = Fma.MultiplyAdd(Vector256.ConvertToSingle(products), Vector256.Create(first, second), sums);
            codes += 32;
            x += 32;
            c += StartLanes;
        }

        o.Output[input * o.OutputStride + row] = Vector256.Sum(sums) + (o.Bias is null ? 0 : o.Bias[input * o.BiasStride + row]);
    }

    /// <summary>Asks for what lies ahead of the first codes, which nobody has asked for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch(byte* from, long bytes)
    {
        byte* end = from + Math.Min(bytes, Ahead);
        for (; from < end; from += 64)
            Sse.Prefetch0(from);
    }

    /// <summary>Two neighbours, and zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Two(float* values) => Sse2.LoadScalarVector128((double*)values).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Spread(Vector128<float> two, Vector256<int> lanes) => Avx2.PermuteVar8x32(two.ToVector256Unsafe(), lanes);
}
