using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>The input, rounded to 8 bits with a scale a block: value = code * scale, scale = max|x| / 127.</summary>
internal static unsafe class BlockInput
{
    /// <summary>Rounds one row.</summary>
    /// <param name="o">Operands; <see cref="BlockOperands.Input"/>, <see cref="BlockOperands.InputScales"/> and <see cref="BlockOperands.Starts"/> receive the row's share.</param>
    /// <param name="row">The row.</param>
    public static void Round(ref BlockOperands o, int row)
    {
        BlockProductShape shape = o.Shape;
        int block = shape.Block;
        sbyte* codes = o.Input + (long)row * shape.InputStride;
        int* starts = o.Starts + (long)row * shape.Starts * RowKernels.StartLanes;
        new Span<int>(starts, shape.Starts * RowKernels.StartLanes).Clear();
        for (int b = 0; b < shape.Blocks; b++)
        {
            float* x = o.Exact + row * o.ExactStride + b * block;
            Vector256<float> max = Vector256<float>.Zero;
            for (int i = 0; i < block; i += 8)
                max = Vector256.Max(max, Vector256.Abs(Vector256.Load(x + i)));
            Vector128<float> four = Vector128.Max(max.GetLower(), max.GetUpper());
            float greatest = Math.Max(Math.Max(four[0], four[1]), Math.Max(four[2], four[3]));
            Vector256<float> factor = Vector256.Create(greatest > 0 ? 127 / greatest : 0);
            Vector256<int> sum = Vector256<int>.Zero;
            for (int i = 0; i < block; i += 16)
            {
                // To the nearest, ties to even.
                Vector256<int> low = Avx.ConvertToVector256Int32(Vector256.Load(x + i) * factor);
                Vector256<int> high = Avx.ConvertToVector256Int32(Vector256.Load(x + i + 8) * factor);
                sum += low + high;
                Vector256<short> both = Vector256.Narrow(low, high);
                Vector128.Narrow(both.GetLower(), both.GetUpper()).Store(codes + (long)b * block + i);
            }

            o.InputScales[(long)row * shape.Blocks + b] = greatest / 127;
            starts[shape.StartOf(b)] = -shape.Zero * Vector256.Sum(sum);
        }

        for (int i = shape.Columns; i < shape.InputStride; i++)
            codes[i] = 0;
        for (int i = 0; i < shape.Columns && shape.SplitsBytes; i += 64)
        {
            Vector256<ushort> first = Vector256.Load((ushort*)(codes + i));
            Vector256<ushort> second = Vector256.Load((ushort*)(codes + i + 32));
            Vector256.Narrow(first & Vector256.Create((ushort)255), second & Vector256.Create((ushort)255)).Store((byte*)(codes + i));
            Vector256.Narrow(first >>> 8, second >>> 8).Store((byte*)(codes + i + 32));
        }
    }
}
