using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Kernels;

/// <summary>
/// The functions of ONNX Runtime's C interface that an operator of one's own needs and Microsoft.ML.OnnxRuntime does not expose. They are members of the struct OrtApi
/// (onnxruntime_c_api.h), which only ever grows at its end, so a member's index is the same in all versions that have it.
/// </summary>
internal static unsafe partial class OrtFunctions
{
    /// <summary>The version whose members and operator callbacks are used: 1.17 has all of them.</summary>
    public const uint Version = 17;

    private static readonly void** Functions = Load();

    /// <summary>Creates a domain with operators.</summary>
    /// <param name="name">The domain's name, zero-terminated.</param>
    /// <param name="operators">OrtCustomOp*; must outlive the sessions that use them.</param>
    /// <returns>OrtCustomOpDomain*, which must outlive them as well.</returns>
    /// <exception cref="InvalidOperationException">ONNX Runtime refuses it.</exception>
    public static void* CreateDomain(ReadOnlySpan<byte> name, ReadOnlySpan<nint> operators)
    {
        void* domain;
        fixed (byte* text = name)
            ThrowIfFailed(((delegate* unmanaged[Cdecl]<byte*, void**, void*>)Functions[26])(text, &domain));
        foreach (nint operation in operators)
            ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, nint, void*>)Functions[27])(domain, operation));
        return domain;
    }

    /// <summary>Adds a domain's operators to the sessions that are created with some options.</summary>
    /// <param name="options">OrtSessionOptions*.</param>
    /// <param name="domain">OrtCustomOpDomain*.</param>
    /// <exception cref="InvalidOperationException">ONNX Runtime refuses it.</exception>
    public static void AddDomain(nint options, void* domain) => ThrowIfFailed(((delegate* unmanaged[Cdecl]<nint, void*, void*>)Functions[28])(options, domain));

    /// <summary>OrtStatus* of a failure, for callbacks that return one.</summary>
    public static void* Failure(string message)
    {
        nint text = Marshal.StringToCoTaskMemUTF8(message);
        void* status = ((delegate* unmanaged[Cdecl]<int, byte*, void*>)Functions[0])(1 /* ORT_FAIL */, (byte*)text);
        Marshal.FreeCoTaskMem(text);
        return status;
    }

    /// <summary>An integer attribute of a node.</summary>
    /// <param name="node">OrtKernelInfo*.</param>
    /// <param name="name">Zero-terminated.</param>
    /// <param name="absent">Its value where the node does not have it.</param>
    public static long Attribute(void* node, ReadOnlySpan<byte> name, long absent)
    {
        long value;
        fixed (byte* text = name)
        {
            void* status = ((delegate* unmanaged[Cdecl]<void*, byte*, long*, void*>)Functions[86])(node, text, &value);
            if (status is null)
                return value;
            Release(status);
            return absent;
        }
    }

    /// <summary>A node's input, or null where an optional one is absent: OrtValue*.</summary>
    /// <param name="context">OrtKernelContext*.</param>
    /// <param name="index">Input's index.</param>
    public static void* Input(void* context, nuint index)
    {
        void* value;
        ThrowIfFailed(((delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, void**, void*>)Functions[90])(context, index, &value));
        return value;
    }

    /// <summary>A node's output, allocated in a shape: OrtValue*.</summary>
    /// <param name="context">OrtKernelContext*.</param>
    /// <param name="index">Output's index.</param>
    /// <param name="dims">The shape.</param>
    public static void* Output(void* context, nuint index, ReadOnlySpan<long> dims)
    {
        void* value;
        fixed (long* shape = dims)
            ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, nuint, long*, nuint, void**, void*>)Functions[91])(context, index, shape, (nuint)dims.Length, &value));
        return value;
    }

    /// <summary>A tensor's memory.</summary>
    /// <param name="value">OrtValue*.</param>
    public static void* Data(void* value)
    {
        void* data;
        ThrowIfFailed(((delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void**, void*>)Functions[51])(value, &data));
        return data;
    }

    /// <summary>A tensor's shape.</summary>
    /// <param name="value">OrtValue*.</param>
    /// <param name="dims">Receives it.</param>
    /// <returns>Number of dimensions.</returns>
    /// <exception cref="InvalidOperationException">The tensor has more dimensions than <paramref name="dims"/>.</exception>
    public static int Shape(void* value, Span<long> dims)
    {
        void* info;
        ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, void**, void*>)Functions[65])(value, &info));
        try
        {
            nuint count;
            ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)Functions[61])(info, &count));
            if (count > (nuint)dims.Length)
                throw new InvalidOperationException($"A tensor of {count} dimensions was given where at most {dims.Length} are supported.");
            fixed (long* shape = dims)
                ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, long*, nuint, void*>)Functions[62])(info, shape, count));
            return (int)count;
        }
        finally
        {
            ((delegate* unmanaged[Cdecl]<void*, void>)Functions[99])(info);
        }
    }

    /// <summary>Runs a function for 0 to <paramref name="count"/> - 1 on the session's threads and waits for all.</summary>
    /// <param name="context">OrtKernelContext*.</param>
    /// <param name="body">The function; gets <paramref name="data"/> and the index. Must not throw.</param>
    /// <param name="count">Number of calls; threads that are done take the next.</param>
    /// <param name="data">Anything.</param>
    public static void ParallelFor(void* context, delegate* unmanaged[Cdecl]<void*, nuint, void> body, int count, void* data) =>
        ThrowIfFailed(((delegate* unmanaged[Cdecl]<void*, delegate* unmanaged[Cdecl]<void*, nuint, void>, nuint, nuint, void*, void*>)Functions[274])(context, body, (nuint)count, (nuint)count, data));

    private static void ThrowIfFailed(void* status)
    {
        if (status is null)
            return;
        string message = Marshal.PtrToStringUTF8((nint)((delegate* unmanaged[Cdecl]<void*, byte*>)Functions[2])(status)) ?? "";
        Release(status);
        throw new InvalidOperationException($"ONNX Runtime: {message}");
    }

    private static void Release(void* status) => ((delegate* unmanaged[Cdecl]<void*, void>)Functions[93])(status);

    private static void** Load()
    {
        void** api = (void**)((delegate* unmanaged[Cdecl]<uint, void*>)GetApiBase()[0])(Version);
        return api is not null ? api : throw new InvalidOperationException($"ONNX Runtime 1.{Version} or later is needed.");
    }

    [LibraryImport("onnxruntime", EntryPoint = "OrtGetApiBase")]
    [UnmanagedCallConv(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    private static partial void** GetApiBase();
}
