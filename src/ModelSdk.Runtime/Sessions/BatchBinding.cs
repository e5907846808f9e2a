using System.Globalization;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ModelSdk.Runtime.Sessions;

/// <summary>Memory of a batch's inputs and outputs.</summary>
/// <param name="ids">Token ids of a pass.</param>
/// <param name="positions">Positions whose logits are wanted.</param>
/// <param name="lengths">Tokens of each row after the pass, less 1.</param>
/// <param name="total">Tokens of the longest row after the pass.</param>
/// <param name="logits">[capacity, V].</param>
/// <param name="score">One output of a verifier.</param>
internal readonly unsafe struct BatchBuffers(long* ids, long* positions, int* lengths, int* total, float* logits, float* score)
{
    public long* Ids { get; } = ids;

    public long* Positions { get; } = positions;

    public int* Lengths { get; } = lengths;

    public int* Total { get; } = total;

    public float* Logits { get; } = logits;

    public float* Score { get; } = score;
}

/// <summary>A graph bound to a run of rows of a <see cref="BatchCache"/>: a step of all of them, or a block of tokens of a single one.</summary>
internal sealed unsafe class BatchBinding : IDisposable
{
    private readonly GraphSession _graph;
    private readonly nint _ids;
    private readonly OrtIoBinding _binding;
    private readonly List<OrtValue> _owned = [];
    private readonly OrtValue _oneToken;
    private readonly OrtValue _somePositions;
    private readonly OrtValue _noPosition;
    private readonly OrtValue _someLogits;
    private readonly OrtValue _noLogits;
    private int _boundTokens;
    private bool _boundLogits;

    public BatchBinding(GraphSession graph, BatchBuffers buffers, OrtValue[] keysAndValues, int rows, float* output)
    {
        _graph = graph;
        _ids = (nint)buffers.Ids;
        _owned.AddRange(keysAndValues);
        _somePositions = View(TensorElementType.Int64, [rows], (nint)buffers.Positions, (long)rows * sizeof(long));
        _noPosition = View(TensorElementType.Int64, [0], (nint)buffers.Positions, 0);
        _someLogits = View(TensorElementType.Float, [rows, graph.Outputs], (nint)output, (long)rows * graph.Outputs * sizeof(float));
        _noLogits = View(TensorElementType.Float, [0, graph.Outputs], (nint)output, 0);
        _binding = graph.Session.CreateIoBinding();
        _binding.BindInput("seqlens_k", View(TensorElementType.Int32, [rows], (nint)buffers.Lengths, (long)rows * sizeof(int)));
        _binding.BindInput("total_sequence_length", View(TensorElementType.Int32, [1], (nint)buffers.Total, sizeof(int)));
        for (int i = 0; i < keysAndValues.Length; i++)
        {
            string layer = (i / 2).ToString(CultureInfo.InvariantCulture);
            string part = i % 2 == 0 ? "key" : "value";
            _binding.BindInput($"past_key_values.{layer}.{part}", keysAndValues[i]);
            _binding.BindOutput($"present.{layer}.{part}", keysAndValues[i]);
        }

        graph.BindConstants(_binding);
        _oneToken = View(TensorElementType.Int64, [rows, 1], _ids, (long)rows * sizeof(long));
        Bind(_oneToken, 1);
        Bind(logits: true);
    }

    /// <summary>Runs one token of each row.</summary>
    public void RunStep()
    {
        if (_boundTokens != 1)
            Bind(_oneToken, 1);
        if (!_boundLogits)
            Bind(logits: true);
        _graph.Run(_binding);
    }

    /// <summary>Runs a block of tokens of the one row.</summary>
    public void RunBlock(int count, bool logits)
    {
        if (logits != _boundLogits)
            Bind(logits);
        if (count != _boundTokens)
        {
            // The binding keeps the value alive.
            using OrtValue ids = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long));
            Bind(ids, count);
        }

        _graph.Run(_binding);
    }

    public void Dispose()
    {
        _binding.Dispose();
        foreach (OrtValue value in _owned)
            value.Dispose();
    }

    private void Bind(OrtValue ids, int tokens)
    {
        _binding.BindInput("input_ids", ids);
        _boundTokens = tokens;
    }

    private void Bind(bool logits)
    {
        _binding.BindInput("logits_positions", logits ? _somePositions : _noPosition);
        _binding.BindOutput("logits", logits ? _someLogits : _noLogits);
        _boundLogits = logits;
    }

    private OrtValue View(TensorElementType type, long[] shape, nint memory, long bytes)
    {
        OrtValue value = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, memory, bytes);
        _owned.Add(value);
        return value;
    }
}
