using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// com.microsoft.MatMulNBits for the processor: stands in for ONNX Runtime's own kernel in sessions that it is registered with, so graphs stay those of the standard operator
/// and run without it as well. It reads weights where they lie (ONNX Runtime's kernel copies them into a form of its own when a session is created) and at the rate of the
/// memory, and up to 31 rows of the input a row of the result is the same bits whatever other rows are computed with it. Where a domain has an operator already, ONNX Runtime takes the kernel
/// that was registered (measured with 1.31.1).
/// </summary>
internal static unsafe class MatMulNBitsOperator
{
    private const int Optional = 1;
    private const int MaxDimensions = 8;

    /// <summary>Whether this processor has the instructions. Where it has not, ONNX Runtime's kernel is used.</summary>
    public static bool IsSupported => BlockProduct.IsSupported;

    /// <summary>Registers the kernel; does nothing where it is not supported.</summary>
    /// <param name="options">Options of the session to be created.</param>
    /// <param name="threads">Threads of the session.</param>
    public static void AddTo(SessionOptions options, int threads)
    {
        if (!IsSupported)
            return;
        OrtFunctions.AddDomain(options.DangerousGetHandle(), Domain(threads));
        GC.KeepAlive(options);
    }

    /// <summary>By number of threads. Sessions use them as long as they live, so they are never released.</summary>
    private static readonly Dictionary<int, nint> Domains = [];

    private static void* Domain(int threads)
    {
        lock (Domains)
        {
            if (Domains.TryGetValue(threads, out nint known))
                return (void*)known;
            // OrtCustomOp: its version, callbacks in the order of the header, and behind them the number of threads.
            void** operation = (void**)NativeMemory.AllocZeroed(32, (nuint)sizeof(void*));
            *(uint*)operation = OrtFunctions.Version;
            operation[2] = (delegate* unmanaged[Cdecl]<void*, byte*>)&Name;
            operation[3] = (delegate* unmanaged[Cdecl]<void*, byte*>)&Provider;
            operation[4] = (delegate* unmanaged[Cdecl]<void*, nuint, int>)&InputType;
            operation[5] = (delegate* unmanaged[Cdecl]<void*, nuint>)&InputCount;
            operation[6] = (delegate* unmanaged[Cdecl]<void*, nuint, int>)&OutputType;
            operation[7] = (delegate* unmanaged[Cdecl]<void*, nuint>)&OutputCount;
            operation[9] = (delegate* unmanaged[Cdecl]<void*, void>)&Destroy;
            operation[10] = (delegate* unmanaged[Cdecl]<void*, nuint, int>)&InputCharacteristic;
            operation[11] = (delegate* unmanaged[Cdecl]<void*, nuint, int>)&Zero;       // outputs are required
            operation[12] = (delegate* unmanaged[Cdecl]<void*, nuint, int>)&Zero;       // inputs lie in memory of the processor
            operation[13] = (delegate* unmanaged[Cdecl]<void*, int>)&One;               // of variadic inputs and outputs, which there are none of
            operation[14] = (delegate* unmanaged[Cdecl]<void*, int>)&One;
            operation[15] = (delegate* unmanaged[Cdecl]<void*, int>)&One;
            operation[16] = (delegate* unmanaged[Cdecl]<void*, int>)&One;
            operation[17] = (delegate* unmanaged[Cdecl]<void*, void*, void*, void**, void*>)&Create;
            operation[18] = (delegate* unmanaged[Cdecl]<void*, void*, void*>)&Compute;
            operation[20] = (delegate* unmanaged[Cdecl]<void*, int>)&One;               // first and last version of the operator
            operation[21] = (delegate* unmanaged[Cdecl]<void*, int>)&Last;
            operation[31] = (void*)threads;
            void* domain = OrtFunctions.CreateDomain("com.microsoft\0"u8, operation);
            Domains.Add(threads, (nint)domain);
            return domain;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Create(void* operation, void* api, void* info, void** kernel)
    {
        try
        {
            BlockProductShape shape = new(
                (int)OrtFunctions.Attribute(info, "N\0"u8, 0),
                (int)OrtFunctions.Attribute(info, "K\0"u8, 0),
                (int)OrtFunctions.Attribute(info, "bits\0"u8, 4),
                (int)OrtFunctions.Attribute(info, "block_size\0"u8, 0),
                OrtFunctions.Attribute(info, "accuracy_level\0"u8, 0) == 4);
            shape.Check();
            BlockProductNode* node = (BlockProductNode*)NativeMemory.Alloc((nuint)sizeof(BlockProductNode));
            *node = new BlockProductNode(shape, (int)(nint)((void**)operation)[31]);
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
            void* input = OrtFunctions.Input(context, 0);
            Span<long> dims = stackalloc long[MaxDimensions];
            dims = dims[..OrtFunctions.Shape(input, dims)];
            long rows = 1;
            foreach (long dim in dims[..^1])
                rows *= dim;
            if (dims[^1] != node->Shape.Columns)
                return OrtFunctions.Failure($"The input of MatMulNBits has {dims[^1]} columns, its weights have {node->Shape.Columns}.");
            dims[^1] = node->Shape.Rows;
            void* bias = OrtFunctions.Input(context, 5);
            BlockProduct.Run(
                *node,
                (float*)OrtFunctions.Data(input),
                checked((int)rows),
                (byte*)OrtFunctions.Data(OrtFunctions.Input(context, 1)),
                (float*)OrtFunctions.Data(OrtFunctions.Input(context, 2)),
                bias is null ? null : (float*)OrtFunctions.Data(bias),
                (float*)OrtFunctions.Data(OrtFunctions.Output(context, 0, dims)),
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

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* Name(void* operation) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference("MatMulNBits\0"u8));

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* Provider(void* operation) => null;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint InputCount(void* operation) => 6;

    /// <summary>A, B, scales, zero_points, g_idx, bias as ONNXTensorElementDataType.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InputType(void* operation, nuint index) => index switch
    {
        1 or 3 => 2,        // uint8
        4 => 6,             // int32
        _ => 1,             // float
    };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InputCharacteristic(void* operation, nuint index) => index < 3 ? 0 : Optional;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint OutputCount(void* operation) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OutputType(void* operation, nuint index) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Zero(void* operation, nuint index) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int One(void* operation) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Last(void* operation) => int.MaxValue;
}
