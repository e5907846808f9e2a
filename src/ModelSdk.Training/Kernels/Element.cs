using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Training.Kernels;

/// <summary>How 16 numbers of a tensor become fp32 and back; a type argument, so that each kernel is compiled for each type.</summary>
internal unsafe interface IElement
{
    static abstract Vector512<float> Load(void* values, nint index);

    static abstract void Store(void* values, nint index, Vector512<float> value);

    static abstract float Get(void* values, nint index);

    static abstract void Set(void* values, nint index, float value);
}

/// <summary>fp32.</summary>
internal readonly unsafe struct Fp32 : IElement
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(void* values, nint index) => Vector512.Load((float*)values + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* values, nint index, Vector512<float> value) => value.Store((float*)values + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Get(void* values, nint index) => ((float*)values)[index];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(void* values, nint index, float value) => ((float*)values)[index] = value;
}

/// <summary>bf16: the upper half of fp32, rounded to the nearest even.</summary>
internal readonly unsafe struct Bf16 : IElement
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(void* values, nint index) =>
        (Avx512F.ConvertToVector512UInt32(Vector256.Load((ushort*)values + index)) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(void* values, nint index, Vector512<float> value)
    {
        var bits = value.AsUInt32();
        var rounded = bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512.Create(1u));
        Avx512F.ConvertToVector256UInt16(rounded >> 16).Store((ushort*)values + index);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Get(void* values, nint index) => BitConverter.UInt32BitsToSingle((uint)((ushort*)values)[index] << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(void* values, nint index, float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        ((ushort*)values)[index] = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}

/// <summary>Functions of 16 numbers at once.</summary>
internal static class VectorMath
{
    /// <summary>exp to about 2e-7 relative; below -87 it is 0 (Cephes' expf: 2^n times a polynomial of the rest).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        var tiny = Vector512.LessThan(x, Vector512.Create(-87.0f));
        x = Vector512.Min(Vector512.Max(x, Vector512.Create(-87.0f)), Vector512.Create(88.0f));
        var n = Vector512.Floor(Vector512.FusedMultiplyAdd(x, Vector512.Create(1.44269504088896341f), Vector512.Create(0.5f)));
        x = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        x = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), x);
        var y = Vector512.Create(1.9875691500e-4f);
        y = Vector512.FusedMultiplyAdd(y, x, Vector512.Create(1.3981999507e-3f));
        y = Vector512.FusedMultiplyAdd(y, x, Vector512.Create(8.3334519073e-3f));
        y = Vector512.FusedMultiplyAdd(y, x, Vector512.Create(4.1665795894e-2f));
        y = Vector512.FusedMultiplyAdd(y, x, Vector512.Create(1.6666665459e-1f));
        y = Vector512.FusedMultiplyAdd(y, x, Vector512.Create(5.0000001201e-1f));
        y = Vector512.FusedMultiplyAdd(y, x * x, x + Vector512<float>.One);
        var power = (Vector512.ConvertToInt32(n) + Vector512.Create(127)) << 23;
        return Vector512.ConditionalSelect(tiny, Vector512<float>.Zero, y * power.AsSingle());
    }

    /// <summary>1 / (1 + exp(-x)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x) => Vector512<float>.One / (Vector512<float>.One + Exp(-x));
}

/// <summary>Whether kernels run here, and where tensors lie.</summary>
internal static unsafe class KernelSupport
{
    /// <summary>Kernels need AVX-512; without it the same is composed of Torch's operators.</summary>
    public static bool IsAvailable => Avx512F.IsSupported;

    /// <summary>First value of a contiguous CPU tensor.</summary>
    public static void* Pointer(TorchSharp.torch.Tensor tensor)
    {
        if (!tensor.is_contiguous())
        {
            throw new InvalidOperationException("A kernel got a tensor that is not contiguous.");
        }

        return Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
    }
}
