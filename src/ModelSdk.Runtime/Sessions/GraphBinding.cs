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
    private readonly nint _ids;
    private readonly OrtIoBinding _step;
    private readonly OrtIoBinding _block;
    private readonly List<OrtValue> _owned = [];
    private readonly OrtValue _onePosition;
    private readonly OrtValue _noPosition;
    private readonly OrtValue _oneLogits;
    private readonly OrtValue _noLogits;

    public GraphBinding(
        GraphSession graph,
        OrtValue[] keysAndValues,
        nint ids,
        nint position,
        nint lastIndex,
        nint total,
        nint logits)
    {
        _graph = graph;
        _ids = ids;
        OrtValue oneId = View(TensorElementType.Int64, [1, 1], ids, sizeof(long));
        OrtValue lastIndexValue = View(TensorElementType.Int32, [1], lastIndex, sizeof(int));
        OrtValue totalValue = View(TensorElementType.Int32, [1], total, sizeof(int));
        _onePosition = View(TensorElementType.Int64, [1], position, sizeof(long));
        _oneLogits = View(TensorElementType.Float, [1, graph.Outputs], logits, (long)graph.Outputs * sizeof(float));
        _noPosition = Own(OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Int64, [0]));
        _noLogits = Own(OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [0, graph.Outputs]));

        _step = graph.Session.CreateIoBinding();
        _block = graph.Session.CreateIoBinding();
        foreach (OrtIoBinding binding in (ReadOnlySpan<OrtIoBinding>)[_step, _block])
        {
            binding.BindInput("seqlens_k", lastIndexValue);
            binding.BindInput("total_sequence_length", totalValue);
            for (int i = 0; i < keysAndValues.Length; i++)
            {
                string layer = (i / 2).ToString(CultureInfo.InvariantCulture);
                string part = i % 2 == 0 ? "key" : "value";
                binding.BindInput($"past_key_values.{layer}.{part}", keysAndValues[i]);
                binding.BindOutput($"present.{layer}.{part}", keysAndValues[i]);
            }

            graph.BindConstants(binding);
        }

        _step.BindInput("input_ids", oneId);
        _step.BindInput("logits_positions", _onePosition);
        _step.BindOutput("logits", _oneLogits);
    }

    /// <summary>Runs the tokens that lie in the id buffer.</summary>
    /// <param name="count">Number of tokens, S.</param>
    /// <param name="logits">Whether the logits of the position in the position buffer are wanted.</param>
    public void Run(int count, bool logits)
    {
        if (count == 1 && logits)
        {
            _graph.Run(_step);
            return;
        }

        using OrtValue ids = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long));
        _block.BindInput("input_ids", ids);
        _block.BindInput("logits_positions", logits ? _onePosition : _noPosition);
        _block.BindOutput("logits", logits ? _oneLogits : _noLogits);
        _graph.Run(_block);
    }

    public void Dispose()
    {
        _step.Dispose();
        _block.Dispose();
        foreach (OrtValue value in _owned)
            value.Dispose();
    }

    private OrtValue View(TensorElementType type, long[] shape, nint memory, long bytes) =>
        Own(OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, memory, bytes));

    private OrtValue Own(OrtValue value)
    {
        _owned.Add(value);
        return value;
    }
}
