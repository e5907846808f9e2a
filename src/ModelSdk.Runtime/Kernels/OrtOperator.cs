using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// An operator of our own for sessions of ONNX Runtime: OrtCustomOp, its version and callbacks in the order of the header, and behind them what the callbacks need. Never released: sessions
/// use it as long as they live.
/// </summary>
internal static unsafe class OrtOperator
{
    /// <summary>ONNXTensorElementDataType.</summary>
    public const int Float = 1, Byte = 2, Int32 = 6;

    private const int MaxDimensions = 8;
    private const int TypesAt = 27, RequiredAt = 28, CountAt = 29, NameAt = 30, DataAt = 31;

    /// <summary>Creates an operator.</summary>
    /// <param name="name">Its name, zero-terminated, of a lifetime that does not end.</param>
    /// <param name="types">Types of its inputs. The output is float.</param>
    /// <param name="optional">Which inputs need not be given, a bit each.</param>
    /// <param name="create">Creates a node's kernel: (operator, api, OrtKernelInfo*, receives the kernel) to OrtStatus*.</param>
    /// <param name="compute">Computes a node: (kernel, OrtKernelContext*) to OrtStatus*.</param>
    /// <param name="destroy">Releases a kernel.</param>
    /// <param name="data">What <see cref="Data"/> gives.</param>
    /// <returns>OrtCustomOp*.</returns>
    public static void* New(
        ReadOnlySpan<byte> name,
        ReadOnlySpan<int> types,
        uint optional,
        delegate* unmanaged[Cdecl]<void*, void*, void*, void**, void*> create,
        delegate* unmanaged[Cdecl]<void*, void*, void*> compute,
        delegate* unmanaged[Cdecl]<void*, void> destroy,
        int data)
    {
        void** operation = (void**)NativeMemory.AllocZeroed(32, (nuint)sizeof(void*));
        int* kept = (int*)NativeMemory.Alloc((nuint)types.Length, sizeof(int));
        types.CopyTo(new Span<int>(kept, types.Length));
        *(uint*)operation = OrtFunctions.Version;
        operation[2] = (delegate* unmanaged[Cdecl]<void**, void*>)&Name;
        operation[3] = (delegate* unmanaged[Cdecl]<void**, void*>)&Provider;
        operation[4] = (delegate* unmanaged[Cdecl]<void**, nuint, int>)&InputType;
        operation[5] = (delegate* unmanaged[Cdecl]<void**, nuint>)&InputCount;
        operation[6] = (delegate* unmanaged[Cdecl]<void**, nuint, int>)&OutputType;
        operation[7] = (delegate* unmanaged[Cdecl]<void**, nuint>)&OutputCount;
        operation[9] = destroy;
        operation[10] = (delegate* unmanaged[Cdecl]<void**, nuint, int>)&InputCharacteristic;
        operation[11] = (delegate* unmanaged[Cdecl]<void**, nuint, int>)&Zero;       // outputs are required
        operation[12] = (delegate* unmanaged[Cdecl]<void**, nuint, int>)&Zero;       // inputs lie in memory of the processor
        operation[13] = (delegate* unmanaged[Cdecl]<void**, int>)&One;               // of variadic inputs and outputs, which there are none of
        operation[14] = (delegate* unmanaged[Cdecl]<void**, int>)&One;
        operation[15] = (delegate* unmanaged[Cdecl]<void**, int>)&One;
        operation[16] = (delegate* unmanaged[Cdecl]<void**, int>)&One;
        operation[17] = create;
        operation[18] = compute;
        operation[20] = (delegate* unmanaged[Cdecl]<void**, int>)&One;               // first and last version of the operator
        operation[21] = (delegate* unmanaged[Cdecl]<void**, int>)&Last;
        operation[TypesAt] = kept;
        operation[RequiredAt] = (void*)(nuint)~optional;
        operation[CountAt] = (void*)types.Length;
        operation[NameAt] = Unsafe.AsPointer(ref MemoryMarshal.GetReference(name));
        operation[DataAt] = (void*)data;
        return operation;
    }

    /// <summary>What an operator was created with.</summary>
    public static int Data(void* operation) => (int)(nint)((void**)operation)[DataAt];

    /// <summary>The weights of a node, by the attributes of MatMulNBits.</summary>
    /// <param name="info">OrtKernelInfo*.</param>
    /// <exception cref="InvalidOperationException">There is no kernel for them.</exception>
    public static BlockProductShape Shape(void* info)
    {
        BlockProductShape shape = new(
            (int)OrtFunctions.Attribute(info, "N\0"u8, 0),
            (int)OrtFunctions.Attribute(info, "K\0"u8, 0),
            (int)OrtFunctions.Attribute(info, "bits\0"u8, 4),
            (int)OrtFunctions.Attribute(info, "block_size\0"u8, 0),
            OrtFunctions.Attribute(info, "accuracy_level\0"u8, 0) == 4);
        shape.Check();
        return shape;
    }

    /// <summary>A node's first input as rows, and its output, allocated.</summary>
    /// <param name="context">OrtKernelContext*.</param>
    /// <param name="shape">The node's weights.</param>
    /// <param name="input">[rows, columns]</param>
    /// <param name="output">[rows, rows of the weights]</param>
    /// <returns>Rows of the input.</returns>
    /// <exception cref="InvalidOperationException">The input does not fit the weights.</exception>
    public static int Rows(void* context, BlockProductShape shape, out float* input, out float* output)
    {
        void* value = OrtFunctions.Input(context, 0);
        Span<long> dims = stackalloc long[MaxDimensions];
        dims = dims[..OrtFunctions.Shape(value, dims)];
        if (dims[^1] != shape.Columns)
            throw new InvalidOperationException($"The input of a product has {dims[^1]} columns, its weights have {shape.Columns}.");
        long rows = 1;
        foreach (long dim in dims[..^1])
            rows *= dim;
        dims[^1] = shape.Rows;
        input = (float*)OrtFunctions.Data(value);
        output = (float*)OrtFunctions.Data(OrtFunctions.Output(context, 0, dims));
        return checked((int)rows);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Name(void** operation) => operation[NameAt];

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void* Provider(void** operation) => null;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint InputCount(void** operation) => (nuint)operation[CountAt];

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InputType(void** operation, nuint index) => ((int*)operation[TypesAt])[index];

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int InputCharacteristic(void** operation, nuint index) => ((nuint)operation[RequiredAt] >> (int)index & 1) == 0 ? 1 : 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nuint OutputCount(void** operation) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OutputType(void** operation, nuint index) => Float;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Zero(void** operation, nuint index) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int One(void** operation) => 1;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Last(void** operation) => int.MaxValue;
}
