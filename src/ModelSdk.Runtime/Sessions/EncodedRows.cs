using System.Globalization;
using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// Keys and values of a graph that encodes prompts beside a quantized cache (<see cref="GraphSession.Encodes"/>). It reads the cache, attends in fp32, and gives the new
/// tokens' keys and values rounded as the cache holds them; what it gave is put into the cache when the pass has ended.
/// </summary>
internal sealed unsafe class EncodedRows : IDisposable
{
    private const int Alignment = 64;

    private readonly KeyValueMemory _cache;
    private readonly OrtIoBinding _binding;
    private readonly OrtValue _pastLength;
    private readonly long _stride;
    private readonly byte* _rows;
    private void* _memory;

    /// <summary>Binds what is the same in every pass.</summary>
    /// <param name="cache">A cache of one row.</param>
    /// <param name="keysAndValues">Its views.</param>
    /// <param name="binding">The graph's binding.</param>
    /// <param name="chunk">Most tokens of a pass.</param>
    public EncodedRows(KeyValueMemory cache, OrtValue[] keysAndValues, OrtIoBinding binding, int chunk)
    {
        _cache = cache;
        _binding = binding;
        _stride = ((long)chunk * cache.TokenBytes + Alignment - 1) / Alignment * Alignment;
        _memory = NativeMemory.AlignedAlloc((nuint)(Alignment + _stride * cache.Slabs), Alignment);
        _rows = (byte*)_memory + Alignment;
        _pastLength = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1], (nint)_memory, sizeof(long));
        binding.BindInput("past_length", _pastLength);
        for (int i = 0; i < keysAndValues.Length; i++)
            binding.BindInput("past_key_values." + Name(i), keysAndValues[i]);
    }

    /// <summary>Prepares a pass.</summary>
    /// <param name="from">Tokens that the cache holds.</param>
    /// <param name="count">Tokens of the pass.</param>
    public void Prepare(int from, int count)
    {
        *(long*)_memory = from;
        long[] shape = [1, count, (long)_cache.KeyValueHeads * _cache.Layout.Width];
        for (int i = 0; i < _cache.Slabs; i++)
        {
            // The binding keeps the value alive.
            using OrtValue rows = OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance, _cache.Layout.Type, shape, (nint)(_rows + _stride * i), (long)count * _cache.TokenBytes);
            _binding.BindOutput("present." + Name(i), rows);
        }
    }

    /// <summary>Puts what the pass gave into the cache.</summary>
    /// <param name="from">Tokens that the cache holds.</param>
    /// <param name="count">Tokens of the pass.</param>
    public void Store(int from, int count)
    {
        for (int i = 0; i < _cache.Slabs; i++)
            _cache.Write(i, from, new ReadOnlySpan<byte>(_rows + _stride * i, count * _cache.TokenBytes));
    }

    public void Dispose()
    {
        _pastLength.Dispose();
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }

    private static string Name(int slab) => (slab / 2).ToString(CultureInfo.InvariantCulture) + (slab % 2 == 0 ? ".key" : ".value");
}
