using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// Memory of keys and values: per layer one slab [rows, KVH, context, width] for keys and one for values. Any run of rows can be bound to a
/// graph in place.
/// </summary>
/// <remarks>
/// Memory: layers x 2 x rows x KVH x context x head size x 1 byte (int8; half a byte in int4, 4 bytes in full precision), taken from the operating system as zero pages, which cost nothing until they are written.
/// </remarks>
internal sealed unsafe class KeyValueMemory : IDisposable
{
    private const int Alignment = 64;

    private readonly TransformerConfig _config;
    private readonly long _stride;
    private readonly byte* _start;
    private void* _memory;

    /// <summary>Allocates memory.</summary>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="rows">Sequences.</param>
    /// <param name="context">Tokens that a row can hold.</param>
    /// <param name="format">How keys and values are stored; the bundle's.</param>
    public KeyValueMemory(TransformerConfig config, int rows, int context, CacheFormat format = CacheFormat.None)
    {
        _config = config;
        Layout = HeadLayout.Of(config, format);
        Context = context;
        _stride = (rows * RowBytes + Alignment - 1) / Alignment * Alignment;
        _memory = NativeMemory.AllocZeroed((nuint)(_stride * Slabs + Alignment));
        _start = Align((byte*)_memory);
    }

    /// <summary>Tokens that a row can hold.</summary>
    public int Context { get; }

    /// <summary>Slabs in the order layer 0 keys, layer 0 values, layer 1 keys, ...</summary>
    public int Slabs => _config.Layers * 2;

    /// <summary>How a head of one token lies in memory.</summary>
    public HeadLayout Layout { get; }

    /// <summary>Key (or value) heads of a token, KVH.</summary>
    public int KeyValueHeads => _config.KeyValueHeads;

    /// <summary>Bytes of one token in one slab, all heads.</summary>
    public int TokenBytes => _config.KeyValueHeads * Layout.Bytes;

    private long HeadBytes => (long)Context * Layout.Bytes;

    private long RowBytes => _config.KeyValueHeads * HeadBytes;

    /// <summary>Views of some rows, one per slab, [count, KVH, context, width]. The caller disposes them before the memory.</summary>
    public OrtValue[] View(int first, int count)
    {
        long[] shape = [count, _config.KeyValueHeads, Context, Layout.Width];
        OrtValue[] views = new OrtValue[Slabs];
        for (int i = 0; i < views.Length; i++)
        {
            views[i] = OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance, Layout.Type, shape, (nint)(_start + _stride * i + first * RowBytes), count * RowBytes);
        }

        return views;
    }

    /// <summary>Copies the first tokens of a row of another memory (or of this one) into a row.</summary>
    public void Copy(KeyValueMemory source, int sourceRow, int row, int tokens)
    {
        if (source.Layout != Layout)
            throw new ArgumentException("Keys and values of another format cannot be copied.", nameof(source));
        long bytes = (long)tokens * Layout.Bytes;
        for (int slab = 0; slab < Slabs; slab++)
        {
            byte* from = source._start + source._stride * slab + sourceRow * source.RowBytes;
            byte* to = _start + _stride * slab + row * RowBytes;
            for (int head = 0; head < _config.KeyValueHeads; head++)
                Buffer.MemoryCopy(from + head * source.HeadBytes, to + head * HeadBytes, bytes, bytes);
        }
    }

    /// <summary>The first tokens of a head, [tokens, width].</summary>
    public ReadOnlySpan<byte> Read(int slab, int row, int head, int tokens) =>
        new(_start + _stride * slab + row * RowBytes + head * HeadBytes, tokens * Layout.Bytes);

    /// <summary>Writes tokens of the first row.</summary>
    /// <param name="slab">The slab.</param>
    /// <param name="at">Index of the first token.</param>
    /// <param name="tokens">[tokens, KVH, width].</param>
    public void Write(int slab, int at, ReadOnlySpan<byte> tokens)
    {
        int count = tokens.Length / TokenBytes;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Context - at);
        for (int head = 0; head < _config.KeyValueHeads; head++)
        {
            Span<byte> to = new(_start + _stride * slab + head * HeadBytes + (long)at * Layout.Bytes, count * Layout.Bytes);
            for (int token = 0; token < count; token++)
                tokens.Slice((token * _config.KeyValueHeads + head) * Layout.Bytes, Layout.Bytes).CopyTo(to[(token * Layout.Bytes)..]);
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(_memory);
        _memory = null;
    }

    private static byte* Align(byte* pointer) => (byte*)(((nint)pointer + Alignment - 1) / Alignment * Alignment);
}
