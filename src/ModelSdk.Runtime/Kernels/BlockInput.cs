using System.Runtime.CompilerServices;
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
            if (block == 16)
            {
                Vector256<int> low = Rounded(x, factor), high = Rounded(x + 8, factor);
                sum = low + high;
                Vector256<short> both = Avx2.PackSignedSaturate(low, high);         // of either half four numbers of one and four of the other
                Vector256<sbyte> bytes = Avx2.PackSignedSaturate(both, both);
                Avx2.PermuteVar8x32(bytes.AsInt32(), Vector256.Create(0, 4, 1, 5, 0, 4, 1, 5)).GetLower().AsSByte().Store(codes + (long)b * block);
            }

            for (int i = 0; i + 32 <= block; i += 32)
            {
                Vector256<int> v0 = Rounded(x + i, factor), v1 = Rounded(x + i + 8, factor), v2 = Rounded(x + i + 16, factor), v3 = Rounded(x + i + 24, factor);
                sum += v0 + v1 + (v2 + v3);
                Vector256<sbyte> bytes = Avx2.PackSignedSaturate(Avx2.PackSignedSaturate(v0, v1), Avx2.PackSignedSaturate(v2, v3));
                Avx2.PermuteVar8x32(bytes.AsInt32(), Vector256.Create(0, 4, 1, 5, 2, 6, 3, 7)).AsSByte().Store(codes + (long)b * block + i);
            }

            o.InputScales[(long)row * shape.Blocks + b] = greatest / 127;
            starts[shape.StartOf(b)] = -shape.Zero * Vector256.Sum(sum);
        }

        for (int i = shape.Columns; i < shape.InputStride; i++)
            codes[i] = 0;
        for (int i = 0; i < shape.Columns && shape.SplitsBytes; i += 64)
        {
            Vector256<short> first = Vector256.Load((short*)(codes + i));
            Vector256<short> second = Vector256.Load((short*)(codes + i + 32));
            Vector256<short> low = Vector256.Create((short)255);
            Avx2.Permute4x64(Avx2.PackUnsignedSaturate(first & low, second & low).AsInt64(), 0b11011000).AsByte().Store((byte*)(codes + i));
            Avx2.Permute4x64(Avx2.PackUnsignedSaturate(first >>> 8, second >>> 8).AsInt64(), 0b11011000).AsByte().Store((byte*)(codes + i + 32));
        }
    }

    /// <summary>To the nearest, ties to even.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Rounded(float* x, Vector256<float> factor) => Avx.ConvertToVector256Int32(Vector256.Load(x) * factor);
}
