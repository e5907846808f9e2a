using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ModelSdk.Onnx;

/// <summary>Sums of products whose order does not depend on the machine's vector width, so that the result is the same everywhere.</summary>
internal static class FixedOrderSum
{
    /// <summary>a b^T.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        Vector256<double> sums = Sums(a, b);
        double sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
        for (int i = a.Length / Vector256<double>.Count * Vector256<double>.Count; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    /// <summary>a b^T.</summary>
    public static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Vector256<float> sums = Sums(a, b);
        Vector128<float> half = sums.GetLower() + sums.GetUpper();
        float sum = (half[0] + half[2]) + (half[1] + half[3]);
        for (int i = a.Length / Vector256<float>.Count * Vector256<float>.Count; i < a.Length; i++)
            sum += a[i] * b[i];
        return sum;
    }

    /// <summary>Sums of the products that fill whole vectors, element by element; two chains, so that one does not wait for the other.</summary>
    private static Vector256<T> Sums<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b)
        where T : struct
    {
        ReadOnlySpan<Vector256<T>> left = MemoryMarshal.Cast<T, Vector256<T>>(a);
        ReadOnlySpan<Vector256<T>> right = MemoryMarshal.Cast<T, Vector256<T>>(b);
        Vector256<T> even = Vector256<T>.Zero, odd = Vector256<T>.Zero;
        int i = 0;
        for (; i + 1 < left.Length; i += 2)
        {
            even += left[i] * right[i];
            odd += left[i + 1] * right[i + 1];
        }

        for (; i < left.Length; i++)
            even += left[i] * right[i];
        return even + odd;
    }
}
