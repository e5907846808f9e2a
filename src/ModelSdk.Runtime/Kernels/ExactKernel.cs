using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>One row of weights with one, two or four rows of unrounded input (accuracy_level 1), in fp32.</summary>
internal static unsafe class ExactKernel
{
    /// <summary>Computes a result for each row of the input.</summary>
    /// <param name="o">Operands.</param>
    /// <param name="weights">The row's weights, [columns].</param>
    /// <param name="input">The first row of the input.</param>
    /// <param name="results">Receives a number a row of the input.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TInputs>(ref BlockOperands o, float* weights, int input, float* results)
        where TInputs : IConstant
    {
        nint columns = o.Shape.Columns, stride = o.ExactStride;
        float* x = o.Exact + input * stride;
        Vector256<float> f0 = default, f1 = default, f2 = default, f3 = default;
        for (nint i = 0; i < columns; i += 8)
        {
            Vector256<float> w = Vector256.Load(weights + i);
            f0 = Fma.MultiplyAdd(w, Vector256.Load(x + i), f0);
            if (TInputs.Value > 1)
                f1 = Fma.MultiplyAdd(w, Vector256.Load(x + stride + i), f1);
            if (TInputs.Value > 2)
            {
                f2 = Fma.MultiplyAdd(w, Vector256.Load(x + 2 * stride + i), f2);
                f3 = Fma.MultiplyAdd(w, Vector256.Load(x + 3 * stride + i), f3);
            }
        }

        results[0] = Vector256.Sum(f0);
        if (TInputs.Value > 1)
            results[1] = Vector256.Sum(f1);
        if (TInputs.Value > 2)
        {
            results[2] = Vector256.Sum(f2);
            results[3] = Vector256.Sum(f3);
        }
    }
}
