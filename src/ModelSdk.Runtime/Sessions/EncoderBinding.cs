using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ModelSdk.Runtime.Sessions;

/// <summary>The graph that encodes prompts beside a quantized cache, bound to the memory of one <see cref="TokenCache"/>.</summary>
internal sealed class EncoderBinding : IDisposable
{
    private readonly GraphSession _graph;
    private readonly nint _ids;
    private readonly OrtIoBinding _binding;
    private readonly OrtValue _lastIndex;
    private readonly OrtValue _total;
    private readonly EncodedRows _rows;

    /// <summary>Binds what is the same in every pass.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="cache">The cache's memory.</param>
    /// <param name="keysAndValues">Its views.</param>
    /// <param name="chunk">Most tokens of a pass.</param>
    /// <param name="ids">The cache's token ids of a pass.</param>
    /// <param name="lastIndex">The cache's length after the pass, less 1.</param>
    /// <param name="total">The cache's length after the pass.</param>
    public EncoderBinding(GraphSession graph, KeyValueMemory cache, OrtValue[] keysAndValues, int chunk, nint ids, nint lastIndex, nint total)
    {
        _graph = graph;
        _ids = ids;
        _lastIndex = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int32, [1], lastIndex, sizeof(int));
        _total = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int32, [1], total, sizeof(int));
        _binding = graph.Session.CreateIoBinding();
        _binding.BindInput("seqlens_k", _lastIndex);
        _binding.BindInput("total_sequence_length", _total);
        _rows = new EncodedRows(cache, keysAndValues, _binding, chunk);
    }

    /// <summary>Runs the tokens that lie in the id buffer.</summary>
    /// <param name="from">Tokens that the cache holds.</param>
    /// <param name="count">Tokens of the pass.</param>
    public void Run(int from, int count)
    {
        using OrtValue ids = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long));
        _binding.BindInput("input_ids", ids);
        _rows.Prepare(from, count);
        _graph.Run(_binding);
        _rows.Store(from, count);
    }

    public void Dispose()
    {
        _binding.Dispose();
        _lastIndex.Dispose();
        _total.Dispose();
        _rows.Dispose();
    }
}
