using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>Codes of weights as bytes, and as the weights that they stand for.</summary>
internal static unsafe class BlockCodes
{
    /// <summary>A row's codes, a byte each; where the shape splits bytes, of each 64 the even ones first.</summary>
    /// <param name="shape">The weights.</param>
    /// <param name="packed">The row as it is stored.</param>
    /// <param name="codes">Receives [columns].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack(BlockProductShape shape, byte* packed, byte* codes)
    {
        int bytes = shape.RowBytes;
        if (shape.Bits == 8)
        {
            Unsafe.CopyBlock(codes, packed, (uint)bytes);
            return;
        }

        if (shape.SplitsBytes)
        {
            Vector256<byte> mask = Vector256.Create((byte)15);
            for (int i = 0; i < bytes; i += 32)
            {
                Vector256<byte> both = Vector256.Load(packed + i);
                (both & mask).Store(codes + 2 * i);
                ((both.AsUInt16() >>> 4).AsByte() & mask).Store(codes + 2 * i + 32);
            }

            return;
        }

        // A row is a multiple of 16 codes: 4 bytes of 2 bits, 8 of 4 bits.
        int at = 0;
        for (; at + 16 <= bytes; at += 16)
        {
            Vector128<byte> v = Vector128.Load(packed + at);
            if (shape.Bits == 4)
            {
                Vector128<byte> low = v & Vector128.Create((byte)15), high = (v.AsUInt16() >>> 4).AsByte() & Vector128.Create((byte)15);
                Sse2.UnpackLow(low, high).Store(codes);
                Sse2.UnpackHigh(low, high).Store(codes + 16);
                codes += 32;
            }
            else
            {
                Vector128<byte> three = Vector128.Create((byte)3);
                Vector128<byte> c0 = v & three, c1 = (v.AsUInt16() >>> 2).AsByte() & three, c2 = (v.AsUInt16() >>> 4).AsByte() & three, c3 = (v.AsUInt16() >>> 6).AsByte() & three;
                Vector128<ushort> first = Sse2.UnpackLow(c0, c1).AsUInt16(), firstHigh = Sse2.UnpackHigh(c0, c1).AsUInt16();
                Vector128<ushort> second = Sse2.UnpackLow(c2, c3).AsUInt16(), secondHigh = Sse2.UnpackHigh(c2, c3).AsUInt16();
                Sse2.UnpackLow(first, second).AsByte().Store(codes);
                Sse2.UnpackHigh(first, second).AsByte().Store(codes + 16);
                Sse2.UnpackLow(firstHigh, secondHigh).AsByte().Store(codes + 32);
                Sse2.UnpackHigh(firstHigh, secondHigh).AsByte().Store(codes + 48);
                codes += 64;
            }
        }

        for (; at < bytes; at++)
        {
            for (int shift = 0; shift < 8; shift += shape.Bits)
                *codes++ = (byte)((packed[at] >> shift) & ((1 << shape.Bits) - 1));
        }
    }

    /// <summary>A row's weights.</summary>
    /// <param name="shape">The weights.</param>
    /// <param name="codes">The row's codes, a byte each.</param>
    /// <param name="scales">The row's scales.</param>
    /// <param name="weights">Receives [columns].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Dequantize(BlockProductShape shape, byte* codes, float* scales, float* weights)
    {
        Vector256<int> zero = Vector256.Create(shape.Zero);
        for (int i = 0; i < shape.Columns; i += 8)
            (Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(codes + i) - zero) * Vector256.Create(scales[i / shape.Block])).Store(weights + i);
    }
}
