using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>Products of unsigned codes and signed numbers of 8 bits, exact.</summary>
internal static class BlockDot
{
    /// <summary>Adds the products of four neighbours to each of eight sums.</summary>
    /// <typeparam name="TBits">Bits of the codes: where processors have no VNNI, sums of two products of 8-bit codes do not fit 16 bits, so those codes are cut in two.</typeparam>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add<TBits>(Vector256<int> sums, Vector256<byte> codes, Vector256<sbyte> input)
        where TBits : IConstant
    {
        if (AvxVnni.IsSupported)
            return AvxVnni.MultiplyWideningAndAdd(sums, codes, input);
        if (TBits.Value < 8)
            return sums + Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(codes, input), Vector256<short>.One);
        Vector256<byte> low = codes & Vector256.Create((byte)127);
        Vector256<byte> high = (codes.AsUInt16() >>> 7).AsByte() & Vector256<byte>.One;
        Vector256<int> highs = Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(high, input), Vector256.Create((short)128));
        return sums + Avx2.MultiplyAddAdjacent(Avx2.MultiplyAddAdjacent(low, input), Vector256<short>.One) + highs;
    }
}
