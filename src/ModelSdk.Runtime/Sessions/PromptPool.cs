using System.Globalization;
using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// What the switcher has read of the prompt in one <see cref="TokenCache"/> (paper, section 3): the running exponential average of the mean hidden state of each chunk. It
/// is computed in the pass that encodes the prompt, and remembered at the ends of chunks, so that a conversation that goes on runs at most one chunk again.
/// </summary>
internal sealed unsafe class PromptPool : IDisposable
{
    private const int Alignment = 64;

    private readonly GraphSession _graph;
    private readonly BundleSwitcher _switcher;
    private readonly int _hidden;
    private readonly nint _ids;
    private readonly OrtIoBinding _binding;
    private readonly EncodedRows? _rows;
    private readonly List<OrtValue> _owned = [];
    private readonly SortedList<int, float[]> _states = [];
    private readonly float* _weights;
    private readonly float* _state;
    private readonly float* _pooled;
    private readonly float* _logits;
    private void* _memory;

    /// <summary>Binds the graph to a cache's memory.</summary>
    /// <param name="graph">The graph that encodes prompts.</param>
    /// <param name="switcher">The switcher of the bundle.</param>
    /// <param name="hidden">Size of a hidden state, D.</param>
    /// <param name="most">Most tokens of a pass.</param>
    /// <param name="cache">The cache's memory.</param>
    /// <param name="keysAndValues">Its keys and values.</param>
    /// <param name="ids">The cache's token ids of a pass.</param>
    /// <param name="lastIndex">The cache's length after the pass, less 1.</param>
    /// <param name="total">The cache's length after the pass.</param>
    public PromptPool(GraphSession graph, BundleSwitcher switcher, int hidden, int most, KeyValueMemory cache, OrtValue[] keysAndValues, nint ids, nint lastIndex, nint total)
    {
        _graph = graph;
        _switcher = switcher;
        _hidden = hidden;
        _ids = ids;
        long weightBytes = Aligned(most);
        long stateBytes = Aligned(hidden);
        _memory = NativeMemory.AlignedAlloc((nuint)(weightBytes + stateBytes * 2 + Aligned(switcher.Modes.Count)), Alignment);
        byte* at = (byte*)_memory;
        _weights = (float*)at;
        _state = (float*)(at += weightBytes);
        _pooled = (float*)(at += stateBytes);
        _logits = (float*)(at + stateBytes);

        _binding = graph.Session.CreateIoBinding();
        _binding.BindInput("seqlens_k", View(TensorElementType.Int32, [1], lastIndex, sizeof(int)));
        _binding.BindInput("total_sequence_length", View(TensorElementType.Int32, [1], total, sizeof(int)));
        if (graph.Encodes)
            _rows = new EncodedRows(cache, keysAndValues, _binding, most);
        for (int i = 0; i < keysAndValues.Length && _rows is null; i++)
        {
            string layer = (i / 2).ToString(CultureInfo.InvariantCulture);
            string part = i % 2 == 0 ? "key" : "value";
            _binding.BindInput($"past_key_values.{layer}.{part}", keysAndValues[i]);
            _binding.BindOutput($"present.{layer}.{part}", keysAndValues[i]);
        }

        _binding.BindInput("switcher_state", View(TensorElementType.Float, [1, hidden], (nint)_state, (long)hidden * sizeof(float)));
        _binding.BindOutput("switcher_pooled", View(TensorElementType.Float, [1, hidden], (nint)_pooled, (long)hidden * sizeof(float)));
        _binding.BindOutput("switcher_logits", View(TensorElementType.Float, [1, switcher.Modes.Count], (nint)_logits, (long)switcher.Modes.Count * sizeof(float)));
    }

    /// <summary>The switcher's outputs after the last pass, one a mode; softmax makes them probabilities.</summary>
    public ReadOnlySpan<float> Logits => new(_logits, _switcher.Modes.Count);

    /// <summary>The greatest number of tokens, at most <paramref name="length"/>, behind which reading can go on.</summary>
    public int Resume(int length)
    {
        for (int i = _states.Count - 1; i >= 0; i--)
        {
            if (_states.Keys[i] <= length)
                return _states.Keys[i];
        }

        return 0;
    }

    /// <summary>Forgets what was read beyond a length.</summary>
    public void Forget(int length)
    {
        while (_states.Count > 0 && _states.Keys[^1] > length)
            _states.RemoveAt(_states.Count - 1);
    }

    /// <summary>Where the next pass ends: at most so many tokens on, at the end of a chunk where one fits.</summary>
    public int PassEnd(int from, int length, int most)
    {
        int chunk = _switcher.Chunk;
        int end = most >= chunk ? from + most / chunk * chunk : Math.Min(from + most, (from / chunk + 1) * chunk);
        return Math.Min(end, length);
    }

    /// <summary>Runs the tokens that lie in the id buffer.</summary>
    /// <param name="from">Index of the first; where the last pass ended, or where <see cref="Resume"/> says.</param>
    /// <param name="to">Index behind the last.</param>
    /// <param name="length">Tokens of the whole prompt.</param>
    public void Run(int from, int to, int length)
    {
        int last = (to - 1) / _switcher.Chunk;
        double keep = 1 - _switcher.Smoothing;
        Span<float> state = new(_state, _hidden);
        if (from == 0)
        {
            state.Clear();
        }
        else
        {
            // At the end of a chunk the state is the remembered one; within a chunk it is that of the pass just before.
            ReadOnlySpan<float> before = _states.TryGetValue(from, out float[]? known) ? known : new ReadOnlySpan<float>(_pooled, _hidden);
            float decay = (float)Math.Pow(keep, last - (from - 1) / _switcher.Chunk);
            for (int i = 0; i < state.Length; i++)
                state[i] = before[i] * decay;
        }

        for (int token = from; token < to; token++)
        {
            // The average begins with the first chunk's mean; a last chunk that is not full is the mean of its tokens.
            int chunk = token / _switcher.Chunk;
            int tokens = Math.Min(_switcher.Chunk, length - chunk * _switcher.Chunk);
            _weights[token - from] = (float)((chunk == 0 ? 1 : _switcher.Smoothing) * Math.Pow(keep, last - chunk) / tokens);
        }

        int count = to - from;
        using OrtValue ids = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Int64, [1, count], _ids, (long)count * sizeof(long));
        using OrtValue weights = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, TensorElementType.Float, [1, count], (nint)_weights, (long)count * sizeof(float));
        _binding.BindInput("input_ids", ids);
        _binding.BindInput("switcher_weights", weights);
        _rows?.Prepare(from, count);
        _graph.Run(_binding);
        _rows?.Store(from, count);
        if (to % _switcher.Chunk == 0)
            _states[to] = new ReadOnlySpan<float>(_pooled, _hidden).ToArray();
    }

    public void Dispose()
    {
        if (_memory == null)
            return;
        _binding.Dispose();
        _rows?.Dispose();
        foreach (OrtValue value in _owned)
            value.Dispose();
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }

    private OrtValue View(TensorElementType type, long[] shape, nint memory, long bytes)
    {
        OrtValue value = OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, type, shape, memory, bytes);
        _owned.Add(value);
        return value;
    }

    private static long Aligned(int floats) => ((long)floats * sizeof(float) + Alignment - 1) / Alignment * Alignment;
}
