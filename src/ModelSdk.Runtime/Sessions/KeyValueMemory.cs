using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// Memory of keys and values: per layer one slab [rows, KVH, context, head] for keys and one for values. Any run of rows can be bound to a
/// graph in place.
/// </summary>
/// <remarks>
/// Memory: layers x 2 x rows x KVH x context x head size x 4 bytes, taken from the operating system as zero pages, which cost nothing until they are written.
/// </remarks>
internal sealed unsafe class KeyValueMemory : IDisposable
{
    private const int Alignment = 64;

    private readonly TransformerConfig _config;
    private readonly long _stride;
    private readonly byte* _start;
    private void* _memory;

    public KeyValueMemory(TransformerConfig config, int rows, int context)
    {
        _config = config;
        Context = context;
        _stride = (rows * RowBytes + Alignment - 1) / Alignment * Alignment;
        _memory = NativeMemory.AllocZeroed((nuint)(_stride * Slabs + Alignment));
        _start = Align((byte*)_memory);
    }

    /// <summary>Tokens that a row can hold.</summary>
    public int Context { get; }

    /// <summary>Slabs in the order layer 0 keys, layer 0 values, layer 1 keys, ...</summary>
    public int Slabs => _config.Layers * 2;

    private long HeadBytes => (long)Context * _config.HeadSize * sizeof(float);

    private long RowBytes => _config.KeyValueHeads * HeadBytes;

    /// <summary>Views of some rows, one per slab, [count, KVH, context, head]. The caller disposes them before the memory.</summary>
    public OrtValue[] View(int first, int count)
    {
        long[] shape = [count, _config.KeyValueHeads, Context, _config.HeadSize];
        OrtValue[] views = new OrtValue[Slabs];
        for (int i = 0; i < views.Length; i++)
        {
            views[i] = OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance, TensorElementType.Float, shape, (nint)(_start + _stride * i + first * RowBytes), count * RowBytes);
        }

        return views;
    }

    /// <summary>Copies the first tokens of a row of another memory (or of this one) into a row.</summary>
    public void Copy(KeyValueMemory source, int sourceRow, int row, int tokens)
    {
        long bytes = (long)tokens * _config.HeadSize * sizeof(float);
        for (int slab = 0; slab < Slabs; slab++)
        {
            byte* from = source._start + source._stride * slab + sourceRow * source.RowBytes;
            byte* to = _start + _stride * slab + row * RowBytes;
            for (int head = 0; head < _config.KeyValueHeads; head++)
                Buffer.MemoryCopy(from + head * source.HeadBytes, to + head * HeadBytes, bytes, bytes);
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_memory);
        _memory = null;
    }

    private static byte* Align(byte* pointer) => (byte*)(((nint)pointer + Alignment - 1) / Alignment * Alignment);
}
