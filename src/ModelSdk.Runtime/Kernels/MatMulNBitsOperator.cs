using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// com.microsoft.MatMulNBits for the processor: stands in for ONNX Runtime's own kernel in sessions that it is registered with, so graphs stay those of the standard operator
/// and run without it as well. It reads weights where they lie (ONNX Runtime's kernel copies them into a form of its own when a session is created) and at the rate of the
/// memory, and up to 31 rows of the input a row of the result is the same bits whatever other rows are computed with it. Where a domain has an operator already, ONNX Runtime takes the kernel
/// that was registered (measured with 1.31.1).
/// </summary>
internal static unsafe class MatMulNBitsOperator
{
    /// <summary>A, B, scales, zero_points, g_idx, bias.</summary>
    private static ReadOnlySpan<int> InputTypes => [OrtOperator.Float, OrtOperator.Byte, OrtOperator.Float, OrtOperator.Byte, OrtOperator.Int32, OrtOperator.Float];

    /// <summary>Creates the operator.</summary>
    /// <param name="threads">Threads of the sessions that it is for.</param>
    public static nint New(int threads) => (nint)OrtOperator.New("MatMulNBits\0"u8, InputTypes, 0b111000, &Create, &Compute, &Destroy, threads);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Create(void* operation, void* api, void* info, void** kernel)
    {
        try
        {
            BlockProductShape shape = OrtOperator.Shape(info);
            BlockProductNode* node = (BlockProductNode*)NativeMemory.Alloc((nuint)sizeof(BlockProductNode));
            *node = new BlockProductNode(shape, OrtOperator.Data(operation));
            *kernel = node;
            return null;
        }
        catch (Exception e)
        {
            return OrtFunctions.Failure(e.Message);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Compute(void* kernel, void* context)
    {
        try
        {
            BlockProductNode* node = (BlockProductNode*)kernel;
            if (OrtFunctions.Input(context, 3) is not null || OrtFunctions.Input(context, 4) is not null)
                return OrtFunctions.Failure("zero_points and g_idx of MatMulNBits are not supported.");
            int rows = OrtOperator.Rows(context, node->Shape, out float* input, out float* output);
            void* bias = OrtFunctions.Input(context, 5);
            BlockProduct.Run(
                *node,
                input,
                rows,
                (byte*)OrtFunctions.Data(OrtFunctions.Input(context, 1)),
                (float*)OrtFunctions.Data(OrtFunctions.Input(context, 2)),
                bias is null ? null : (float*)OrtFunctions.Data(bias),
                output,
                context);
            return null;
        }
        catch (Exception e)
        {
            return OrtFunctions.Failure(e.Message);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Destroy(void* kernel) => NativeMemory.Free(kernel);
}
