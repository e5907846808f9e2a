using System.Runtime.InteropServices;

using Microsoft.ML.OnnxRuntime;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>
/// The keys and values of one sequence of tokens, with the buffers to run graphs on it. Every graph of the bundle reads and writes the
/// same memory, so a sequence begun by the base goes on under an adapter without copying. One call at a time.
/// </summary>
internal sealed unsafe class TokenCache : IDisposable
{
    private const int Alignment = 64;

    private readonly TransformerConfig _config;
    private readonly int _chunk;
    private readonly int[] _tokens;
    private readonly byte[] _graphs;
    private readonly long[] _tokensRun;
    private readonly Dictionary<GraphSession, GraphBinding> _bindings = [];
    private readonly OrtValue[] _keysAndValues;
    private EncoderBinding? _encoder;
    private PromptPool? _pool;
    private byte* _scratch;
    private readonly long* _ids;
    private readonly long* _position;
    private readonly long* _rows;
    private readonly int* _lastIndex;
    private readonly int* _total;
    private readonly float* _logits;

    /// <summary>Most tokens of one <see cref="Step"/>.</summary>
    public const int MaxRows = 16;

    /// <summary>Allocates a cache.</summary>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="context">Tokens it can hold.</param>
    /// <param name="chunk">Most tokens of one pass.</param>
    /// <param name="modes">Number of graphs that may run on it.</param>
    /// <param name="format">How keys and values are stored; the bundle's.</param>
    public TokenCache(TransformerConfig config, int context, int chunk, int modes, CacheFormat format = CacheFormat.None)
    {
        _config = config;
        _chunk = Math.Min(chunk, context);
        _tokens = new int[context];
        _graphs = new byte[context];
        _tokensRun = new long[modes];

        Memory = new KeyValueMemory(config, 1, context, format);
        _keysAndValues = Memory.View(0, 1);

        // Inputs and outputs of a pass, each on its own cache line: token ids, positions of the logits, lengths, logits.
        long idBytes = (long)Math.Max(_chunk, MaxRows) * sizeof(long);
        long rowBytes = MaxRows * sizeof(long);
        long logitBytes = (long)MaxRows * config.VocabularySize * sizeof(float);
        _scratch = (byte*)NativeMemory.AllocZeroed((nuint)(idBytes + rowBytes + logitBytes + Alignment * 8));
        byte* at = Align(_scratch);
        _ids = (long*)at;
        at = Align(at + idBytes);
        _rows = (long*)at;
        for (int i = 0; i < MaxRows; i++)
            _rows[i] = i;
        at = Align(at + rowBytes);
        _position = (long*)at;
        _lastIndex = (int*)(at + Alignment);
        _total = (int*)(at + Alignment * 2);
        _logits = (float*)(at + Alignment * 3);
    }

    /// <summary>Tokens whose keys and values are held.</summary>
    public int Length { get; private set; }

    /// <summary>The tokens whose keys and values are held.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    /// <summary>Most tokens of one pass.</summary>
    public int Chunk => _chunk;

    /// <summary>Tokens that can be held.</summary>
    public int Context => _tokens.Length;

    /// <summary>Logits after the last token of the last <see cref="Append"/> that asked for them, [V].</summary>
    public ReadOnlySpan<float> Logits => LogitsOf(0);

    /// <summary>The keys and values.</summary>
    internal KeyValueMemory Memory { get; }

    /// <summary>Tokens that a mode's graph has run on this cache since it was created.</summary>
    public long TokensRun(int graph) => _tokensRun[graph];

    /// <summary>Forgets tokens at the end; exact, as later tokens never change earlier keys and values.</summary>
    public void Rewind(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
        _pool?.Forget(length);
    }

    /// <summary>How many leading tokens are held already as this sequence wants them: the first <paramref name="boundary"/> run by the base, the rest by <paramref name="graph"/>.</summary>
    public int CommonPrefix(ReadOnlySpan<int> tokens, int boundary, int graph)
    {
        int most = Math.Min(Length, tokens.Length);
        for (int i = 0; i < most; i++)
        {
            if (_tokens[i] != tokens[i] || _graphs[i] != (i < boundary ? 0 : graph))
                return i;
        }

        return most;
    }

    /// <summary>Runs tokens after those held, in passes of at most a chunk.</summary>
    /// <param name="graph">The graph to run.</param>
    /// <param name="tokens">Token ids; at least one, and they must fit.</param>
    /// <param name="logits">Whether to compute <see cref="Logits"/> after the last token.</param>
    /// <param name="cancellationToken">Checked before each pass; tokens of finished passes stay held.</param>
    public void Append(GraphSession graph, ReadOnlySpan<int> tokens, bool logits, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_scratch == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens.Length, Context - Length);
        if (graph.Encodes)
        {
            Encode(graph, tokens, logits, cancellationToken);
            return;
        }

        GraphBinding binding = Binding(graph);
        while (!tokens.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(tokens.Length, _chunk);
            bool last = count == tokens.Length;
            Prepare(graph, tokens[..count]);
            *_position = count - 1;
            binding.Run(count, logits && last);
            Length += count;
            tokens = tokens[count..];
        }
    }

    /// <summary>Logits behind the token of a row of the last <see cref="Step"/>, [V].</summary>
    /// <param name="row">The token's place among those that were run.</param>
    public ReadOnlySpan<float> LogitsOf(int row) => new(_logits + (long)row * _config.VocabularySize, _config.VocabularySize);

    /// <summary>Runs tokens after those held in one pass, with logits behind each of them (<see cref="LogitsOf"/>).</summary>
    /// <remarks>
    /// Products take rows in pairs, and a last odd one by another kernel that rounds differently. With an even count a token's bits do not depend on how many
    /// are run with it: one that nobody asked for fills up. It is not held afterwards. The rows of a <see cref="BatchCache"/> are run likewise.
    /// </remarks>
    /// <param name="graph">The graph to run.</param>
    /// <param name="tokens">Token ids, 1 to <see cref="MaxRows"/>; they must fit.</param>
    public void Step(GraphSession graph, ReadOnlySpan<int> tokens)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens.Length, Math.Min(MaxRows, Context - Length));
        GraphBinding binding = Binding(graph);
        // At the very end of the context there is no place for another.
        int passed = Math.Min(BatchCache.Even(tokens.Length), Context - Length);
        Prepare(graph, tokens);
        if (passed > tokens.Length)
        {
            _ids[tokens.Length] = 0;
            *_total = Length + passed;
            *_lastIndex = Length + passed - 1;
        }

        binding.RunRows(passed);
        Length += tokens.Length;
    }

    /// <summary>Runs tokens through a graph of one output, then forgets them; <see cref="Logits"/> are lost.</summary>
    /// <param name="graph">A verifier's graph.</param>
    /// <param name="tokens">The verification prompt; it must fit.</param>
    /// <param name="cancellationToken">Checked before each pass.</param>
    /// <returns>The output behind the last token.</returns>
    public float Score(GraphSession graph, ReadOnlySpan<int> tokens, CancellationToken cancellationToken)
    {
        int length = Length;
        try
        {
            Append(graph, tokens, logits: true, cancellationToken);
            return *_logits;
        }
        finally
        {
            Rewind(length);
        }
    }

    /// <summary>Encodes a prompt for the base while the switcher reads it; what is held already of both is not run again.</summary>
    /// <param name="graph">The graph that encodes prompts.</param>
    /// <param name="switcher">The bundle's switcher.</param>
    /// <param name="tokens">The prompt up to the generation prompt; exactly these are held afterwards.</param>
    /// <param name="logits">The switcher's outputs, one a mode.</param>
    /// <param name="cancellationToken">Checked before each pass; tokens of finished passes stay held.</param>
    /// <returns>Tokens that were run.</returns>
    public int Read(GraphSession graph, BundleSwitcher switcher, ReadOnlySpan<int> tokens, Span<float> logits, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_scratch == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens.Length, Context);
        _pool ??= new PromptPool(graph, switcher, _config.HiddenSize, _chunk, Memory, _keysAndValues, (nint)_ids, (nint)_lastIndex, (nint)_total);
        // At least one token is run: the outputs come with a pass.
        int reused = _pool.Resume(Math.Min(CommonPrefix(tokens, tokens.Length, 0), tokens.Length - 1));
        Rewind(reused);
        while (Length < tokens.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int end = _pool.PassEnd(Length, tokens.Length, _chunk);
            Prepare(graph, tokens[Length..end]);
            _pool.Run(Length, end, tokens.Length);
            Length = end;
        }

        _pool.Logits.CopyTo(logits);
        return tokens.Length - reused;
    }

    /// <summary>Counts tokens that a mode's graph ran on copies of this cache.</summary>
    public void CountRun(int graph, int tokens) => _tokensRun[graph] += tokens;

    public void Dispose()
    {
        if (_scratch == null)
            return;
        foreach (GraphBinding binding in _bindings.Values)
            binding.Dispose();
        _encoder?.Dispose();
        _pool?.Dispose();
        foreach (OrtValue value in _keysAndValues)
            value.Dispose();
        Memory.Dispose();
        NativeMemory.Free(_scratch);
        _scratch = null;
    }

    private void Encode(GraphSession graph, ReadOnlySpan<int> tokens, bool logits, CancellationToken cancellationToken)
    {
        if (logits)
            throw new ArgumentException("A graph that encodes prompts has no logits.", nameof(logits));
        _encoder ??= new EncoderBinding(graph, Memory, _keysAndValues, _chunk, (nint)_ids, (nint)_lastIndex, (nint)_total);
        while (!tokens.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(tokens.Length, _chunk);
            Prepare(graph, tokens[..count]);
            _encoder.Run(Length, count);
            Length += count;
            tokens = tokens[count..];
        }
    }

    private GraphBinding Binding(GraphSession graph)
    {
        if (!_bindings.TryGetValue(graph, out GraphBinding? binding))
        {
            binding = new GraphBinding(graph, _keysAndValues, (nint)_ids, (nint)_position, (nint)_rows, (nint)_lastIndex, (nint)_total, (nint)_logits);
            _bindings.Add(graph, binding);
        }

        return binding;
    }

    /// <summary>Writes the inputs of a pass over tokens that follow those held.</summary>
    private void Prepare(GraphSession graph, ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            _ids[i] = tokens[i];
            _tokens[Length + i] = tokens[i];
            _graphs[Length + i] = (byte)graph.Index;
        }

        int total = Length + tokens.Length;
        *_total = total;
        *_lastIndex = total - 1;
        _tokensRun[graph.Index] += tokens.Length;
    }

    private static byte* Align(byte* pointer) => (byte*)(((nint)pointer + Alignment - 1) / Alignment * Alignment);
}
