using System.Globalization;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// Inputs and outputs of one graph bound to the memory of one <see cref="TokenCache"/>. A decode step changes numbers in that memory and makes
/// one native call; nothing is allocated or bound again. Keys and values are bound in place: the same OrtValue is past and present.
/// </summary>
internal sealed class GraphBinding : IDisposable
{
    private readonly GraphSession _graph;
    private readonly OrtValue[] _keysAndValues;
    private readonly nint _ids;
    private readonly nint _rows;
    private readonly nint _logits;
    private readonly OrtIoBinding _one;
    private readonly OrtIoBinding _block;
    private readonly OrtIoBinding?[] _steps = new OrtIoBinding?[TokenCache.MaxRows + 1];
    private readonly List<OrtValue> _owned = [];
    private readonly OrtValue _lastIndex;
    private readonly OrtValue _total;
    private readonly OrtValue _onePosition;
    private readonly OrtValue _noPosition;
    private readonly OrtValue _oneLogits;
    private readonly OrtValue _noLogits;

    public GraphBinding(
        GraphSession graph,
        OrtValue[] keysAndValues,
        nint ids,
        nint position,
        nint rows,
        nint lastIndex,
        nint total,
        nint logits)
    {
        _graph = graph;
        _keysAndValues = keysAndValues;
        _ids = ids;
        _rows = rows;
        _logits = logits;
        _lastIndex = View(TensorElementType.Int32, [1], lastIndex, sizeof(int));
        _total = View(TensorElementType.Int32, [1], total, sizeof(int));
        _onePosition = View(TensorElementType.Int64, [1], position, sizeof(long));
        _oneLogits = View(TensorElementType.Float, [1, graph.Outputs], logits, (long)graph.Outputs * sizeof(float));
        _noPosition = Own(OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Int64, [0]));
        _noLogits = Own(OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [0, graph.Outputs]));

        _block = Create();
        _one = Create();
        _one.BindInput("input_ids", View(TensorElementType.Int64, [1, 1], ids, sizeof(long)));
        _one.BindInput("logits_positions", _onePosition);
        _one.BindOutput("logits", _oneLogits);
    }

    /// <summary>Runs the tokens that lie in the id buffer.</summary>
    /// <param name="count">Number of tokens, S.</param>
    /// <param name="logits">Whether the logits of the position in the position buffer are wanted.</param>
    public void Run(int count, bool logits)
    {
        if (count == 1 && logits)
        {
            _graph.Run(_one);
            return;
        }

        using OrtValue ids = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long));
        _block.BindInput("input_ids", ids);
        _block.BindInput("logits_positions", logits ? _onePosition : _noPosition);
        _block.BindOutput("logits", logits ? _oneLogits : _noLogits);
        _graph.Run(_block);
    }

    /// <summary>Runs the tokens that lie in the id buffer, with logits behind each of them.</summary>
    /// <param name="count">Number of tokens, S, at most <see cref="TokenCache.MaxRows"/>.</param>
    public void RunRows(int count)
    {
        _graph.Run(_steps[count] ??= Bind());

        OrtIoBinding Bind()
        {
            OrtIoBinding binding = Create();
            binding.BindInput("input_ids", View(TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long)));
            binding.BindInput("logits_positions", View(TensorElementType.Int64, [count], _rows, (long)count * sizeof(long)));
            binding.BindOutput("logits", View(TensorElementType.Float, [count, _graph.Outputs], _logits, (long)count * _graph.Outputs * sizeof(float)));
            return binding;
        }
    }

    public void Dispose()
    {
        _one.Dispose();
        _block.Dispose();
        foreach (OrtIoBinding? step in _steps)
            step?.Dispose();
        foreach (OrtValue value in _owned)
            value.Dispose();
    }

    /// <summary>A binding of everything but tokens and logits.</summary>
    private OrtIoBinding Create()
    {
        OrtIoBinding binding = _graph.Session.CreateIoBinding();
        binding.BindInput("seqlens_k", _lastIndex);
        binding.BindInput("total_sequence_length", _total);
        for (int i = 0; i < _keysAndValues.Length; i++)
        {
            string layer = (i / 2).ToString(CultureInfo.InvariantCulture);
            string part = i % 2 == 0 ? "key" : "value";
            binding.BindInput($"past_key_values.{layer}.{part}", _keysAndValues[i]);
            binding.BindOutput($"present.{layer}.{part}", _keysAndValues[i]);
        }

        _graph.BindConstants(binding);
        return binding;
    }

    private OrtValue View(TensorElementType type, long[] shape, nint memory, long bytes) =>
        Own(OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, memory, bytes));

    private OrtValue Own(OrtValue value)
    {
        _owned.Add(value);
        return value;
    }
}
