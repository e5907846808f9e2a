using System.Runtime.InteropServices;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// Keys and values of several sequences that are decoded together: one pass of a graph runs one token of every row. Rows come and go
/// at any time; those that are held lie side by side, so a pass never computes for nobody. One call at a time.
/// </summary>
internal sealed unsafe class BatchCache : IDisposable
{
    private const int Alignment = 64;

    private readonly TransformerConfig _config;
    private readonly KeyValueMemory _memory;
    private readonly int _chunk;
    private readonly List<BatchRow> _rows = [];
    private readonly Dictionary<(GraphSession Graph, int First, int Count), BatchBinding> _bindings = [];
    private readonly BatchBuffers _buffers;
    private void* _scratch;

    /// <summary>Allocates a cache.</summary>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="capacity">Most rows.</param>
    /// <param name="context">Tokens that a row can hold.</param>
    /// <param name="chunk">Most tokens of one pass over one row.</param>
    /// <param name="format">How keys and values are stored; the bundle's.</param>
    public BatchCache(TransformerConfig config, int capacity, int context, int chunk, CacheFormat format = CacheFormat.None)
    {
        _config = config;
        Capacity = capacity;
        _chunk = Math.Min(chunk, context);
        _memory = new KeyValueMemory(config, Even(capacity), context, format);

        // Inputs and outputs of a pass: token ids, positions of the logits, lengths, logits.
        long idBytes = Aligned((long)Math.Max(_chunk, Even(capacity)) * sizeof(long));
        long positionBytes = Aligned((long)Even(capacity) * sizeof(long));
        long lengthBytes = Aligned((long)Even(capacity) * sizeof(int));
        long logitBytes = Aligned((long)Even(capacity) * config.VocabularySize * sizeof(float));
        _scratch = NativeMemory.AlignedAlloc((nuint)(idBytes + positionBytes + lengthBytes + logitBytes + Alignment * 2), Alignment);
        byte* at = (byte*)_scratch;
        long* ids = (long*)at;
        long* positions = (long*)(at += idBytes);
        int* lengths = (int*)(at += positionBytes);
        int* total = (int*)(at += lengthBytes);
        float* score = (float*)(at += Alignment);
        _buffers = new BatchBuffers(ids, positions, lengths, total, (float*)(at + Alignment), score);
    }

    /// <summary>Most rows.</summary>
    public int Capacity { get; }

    /// <summary>Tokens that a row can hold.</summary>
    public int Context => _memory.Context;

    /// <summary>The rows that are held, in the order in which a pass runs them; it changes when a row is removed.</summary>
    public IReadOnlyList<BatchRow> Rows => _rows;

    /// <summary>Adds a row that begins as a copy of what another cache holds, with that cache's logits.</summary>
    /// <exception cref="InvalidOperationException">All rows are taken.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The tokens do not fit.</exception>
    public BatchRow Add(TokenCache source)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(source.Length, Context);
        BatchRow row = New(source.Length);
        _memory.Copy(source.Memory, 0, row.Index, source.Length);
        source.Logits.CopyTo(LogitsAt(row.Index));
        return row;
    }

    /// <summary>Adds a row that begins as a copy of another, logits included.</summary>
    /// <exception cref="InvalidOperationException">All rows are taken.</exception>
    public BatchRow Fork(BatchRow source)
    {
        Check(source);
        BatchRow row = New(source.Length);
        CopyRow(source.Index, row.Index, source.Length);
        return row;
    }

    /// <summary>Ends a row; the last row moves into its place.</summary>
    public void Remove(BatchRow row)
    {
        Check(row);
        BatchRow last = _rows[^1];
        if (last != row)
        {
            CopyRow(last.Index, row.Index, last.Length);
            last.Index = row.Index;
            _rows[row.Index] = last;
        }

        _rows.RemoveAt(_rows.Count - 1);
        row.Index = -1;
    }

    /// <summary>Ends all rows.</summary>
    public void Clear()
    {
        foreach (BatchRow row in _rows)
            row.Index = -1;
        _rows.Clear();
    }

    /// <summary>Forgets tokens at the end of a row; exact. Its logits are not those of the new last token.</summary>
    public void Rewind(BatchRow row, int length)
    {
        Check(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, row.Length);
        row.Length = length;
    }

    /// <summary>Runs tokens of one row, in passes of at most a chunk; its logits are those behind the last token afterwards.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The tokens do not fit.</exception>
    public void Append(GraphSession graph, BatchRow row, ReadOnlySpan<int> tokens) =>
        Append(graph, row, tokens, LogitsPointer(row.Index));

    /// <summary>Runs tokens of one row through a graph of one output, then forgets them.</summary>
    /// <param name="graph">A verifier's graph.</param>
    /// <param name="row">The row; holds the same tokens and logits afterwards.</param>
    /// <param name="tokens">The verification prompt.</param>
    /// <returns>The output behind the last token.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The tokens do not fit.</exception>
    public float Score(GraphSession graph, BatchRow row, ReadOnlySpan<int> tokens)
    {
        int length = row.Length;
        Append(graph, row, tokens, _buffers.Score);
        row.Length = length;
        return *_buffers.Score;
    }

    /// <summary>Runs <see cref="BatchRow.Next"/> of every row in one pass.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A row is full.</exception>
    public void Step(GraphSession graph)
    {
        if (_rows.Count == 0)
            return;
        int total = 0;
        for (int i = 0; i < _rows.Count; i++)
        {
            BatchRow row = _rows[i];
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row.Length, Context);
            _buffers.Ids[i] = row.Next;
            _buffers.Positions[i] = i;
            _buffers.Lengths[i] = row.Length;
            total = Math.Max(total, row.Length + 1);
        }

        // Products take rows in pairs, and a last odd one by another kernel that rounds differently. With an even count a row's bits do not
        // depend on what stands beside it: a row that nobody holds fills up.
        int passed = Even(_rows.Count);
        if (passed > _rows.Count)
        {
            _buffers.Ids[_rows.Count] = 0;
            _buffers.Positions[_rows.Count] = _rows.Count;
            _buffers.Lengths[_rows.Count] = 0;
        }

        *_buffers.Total = total;
        Binding(graph, 0, passed, _buffers.Logits).RunStep();
        foreach (BatchRow row in _rows)
            row.Length++;
    }

    public void Dispose()
    {
        if (_scratch == null)
            return;
        foreach (BatchBinding binding in _bindings.Values)
            binding.Dispose();
        _memory.Dispose();
        NativeMemory.AlignedFree(_scratch);
        _scratch = null;
    }

    internal ReadOnlySpan<float> LogitsOf(BatchRow row)
    {
        Check(row);
        return LogitsAt(row.Index);
    }

    private void Append(GraphSession graph, BatchRow row, ReadOnlySpan<int> tokens, float* output)
    {
        Check(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens.Length, Context - row.Length);
        BatchBinding binding = Binding(graph, row.Index, 1, output);
        while (!tokens.IsEmpty)
        {
            int count = Math.Min(tokens.Length, _chunk);
            for (int i = 0; i < count; i++)
                _buffers.Ids[i] = tokens[i];
            int total = row.Length + count;
            *_buffers.Total = total;
            *_buffers.Lengths = total - 1;
            *_buffers.Positions = count - 1;
            binding.RunBlock(count, logits: count == tokens.Length);
            row.Length = total;
            tokens = tokens[count..];
        }
    }

    private BatchBinding Binding(GraphSession graph, int first, int count, float* output)
    {
        ObjectDisposedException.ThrowIf(_scratch == null, this);
        if (!_bindings.TryGetValue((graph, first, count), out BatchBinding? binding))
        {
            binding = new BatchBinding(graph, _buffers, _memory.View(first, count), count, output);
            _bindings.Add((graph, first, count), binding);
        }

        return binding;
    }

    private BatchRow New(int length)
    {
        if (_rows.Count == Capacity)
            throw new InvalidOperationException($"All {Capacity} rows are taken.");
        BatchRow row = new(this, _rows.Count, length);
        _rows.Add(row);
        return row;
    }

    private void CopyRow(int from, int to, int length)
    {
        _memory.Copy(_memory, from, to, length);
        LogitsAt(from).CopyTo(LogitsAt(to));
    }

    private void Check(BatchRow row)
    {
        if (row.Index < 0 || _rows[row.Index] != row)
            throw new InvalidOperationException("The row was removed.");
    }

    private float* LogitsPointer(int row) => _buffers.Logits + (long)row * _config.VocabularySize;

    private Span<float> LogitsAt(int row) => new(LogitsPointer(row), _config.VocabularySize);

    /// <summary>Rows that a pass runs for so many; see <see cref="Step"/>.</summary>
    internal static int Even(int rows) => (rows + 1) / 2 * 2;

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
