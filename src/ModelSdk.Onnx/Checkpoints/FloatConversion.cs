using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Exact widening of 16-bit floats to singles, and rounding back (to nearest, ties to even), vectorised.</summary>
internal static class FloatConversion
{
    /// <summary>2^112: the difference between the exponent biases of single (127) and half (15).</summary>
    private const float BiasCorrection = 5192296858534827628530496329220096f;

    /// <summary>Widens bfloat16 bit patterns.</summary>
    public static void WidenBFloat16(ReadOnlySpan<ushort> source, Span<float> target)
    {
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(target)[..source.Length];
        int i = 0;
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Create(source[i..]));
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector256<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
            bits[i] = (uint)source[i] << 16;
    }

    /// <summary>Widens half-precision bit patterns, subnormals, infinities and NaN payloads included.</summary>
    public static void WidenHalf(ReadOnlySpan<ushort> source, Span<float> target)
    {
        target = target[..source.Length];
        int i = 0;
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Create(source[i..]));
            Widen(low).CopyTo(target[i..]);
            Widen(high).CopyTo(target[(i + Vector256<uint>.Count)..]);
        }

        for (; i < source.Length; i++)
            target[i] = Widen(Vector256.Create((uint)source[i])).ToScalar();
    }

    /// <summary>Rounds singles to bfloat16; NaN stays NaN.</summary>
    public static void NarrowBFloat16(ReadOnlySpan<float> source, Span<ushort> target)
    {
        for (int i = 0; i < source.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(source[i]);
            target[i] = float.IsNaN(source[i])
                ? (ushort)((bits >> 16) | 0x40)
                : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
        }
    }

    /// <summary>Rounds singles to half precision.</summary>
    public static void NarrowHalf(ReadOnlySpan<float> source, Span<ushort> target)
    {
        for (int i = 0; i < source.Length; i++)
            target[i] = BitConverter.HalfToUInt16Bits((Half)source[i]);
    }

    /// <summary>Shifts exponent and fraction into place and corrects the exponent's bias by an exact multiplication with 2^112.</summary>
    private static Vector256<float> Widen(Vector256<uint> half)
    {
        Vector256<uint> sign = (half & Vector256.Create(0x8000u)) << 16;
        Vector256<uint> magnitude = (half & Vector256.Create(0x7FFFu)) << 13;
        Vector256<uint> scaled = (magnitude.AsSingle() * Vector256.Create(BiasCorrection)).AsUInt32();
        Vector256<uint> notFinite = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(0x7C00u << 13));
        Vector256<uint> bits = Vector256.ConditionalSelect(notFinite, magnitude | Vector256.Create(0x7F800000u), scaled);
        return (bits | sign).AsSingle();
    }
}
