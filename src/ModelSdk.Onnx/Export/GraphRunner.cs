using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Kernels;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Onnx.Export;

/// <summary>Runs one exported graph, as the runtime will: shared mapped weights that are read where they lie, cache bound in place.</summary>
internal sealed class GraphRunner : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _runOptions = new();
    private readonly IReadOnlyList<(string Name, OrtValue Value)> _constants;

    /// <summary>Loads a graph.</summary>
    /// <param name="graphPath">The file.</param>
    /// <param name="config">Shape of the transformer.</param>
    /// <param name="weights">Base weights.</param>
    /// <param name="constants">Inputs that are the same in every run.</param>
    /// <param name="plain">Whether ONNX Runtime's kernels compute products, in place of the runtime's.</param>
    public GraphRunner(string graphPath, TransformerConfig config, MappedWeights weights, IReadOnlyList<(string Name, OrtValue Value)>? constants = null, bool plain = false)
    {
        Config = config;
        _constants = constants ?? [];
        _session = Open(graphPath, weights, prepack: true, plain);
    }

    public TransformerConfig Config { get; }

    /// <summary>Width of "logits".</summary>
    private int Outputs => _session.OutputMetadata["logits"].Dimensions[1];

    /// <summary>An empty cache as the graph stores keys and values.</summary>
    /// <param name="rows">Rows, B.</param>
    /// <param name="context">Tokens of a row.</param>
    public KeyValueCache NewCache(int rows, int context) => new(Config, rows, context, _session.InputMetadata["past_key_values.0.key"].ElementDataType switch
    {
        TensorElementType.Int8 => CacheFormat.Int8,
        TensorElementType.UInt8 => CacheFormat.Int4,
        _ => CacheFormat.None,
    });

    /// <summary>Runs one call and returns the logits of the chosen positions, [P, V].</summary>
    /// <param name="ids">Tokens, [B, S], B = the cache's rows; rows with fewer are padded on the right.</param>
    /// <param name="lengths">Tokens of each row after this call, [B].</param>
    /// <param name="positions">Indices into the flattened [B*S] positions, [P].</param>
    /// <param name="cache">Read and appended to.</param>
    public float[] Run(ReadOnlySpan<int> ids, ReadOnlySpan<int> lengths, ReadOnlySpan<int> positions, KeyValueCache cache)
    {
        using OrtValue positionValue = OrtValue.CreateTensorValueFromMemory(Widen(positions), [positions.Length]);
        var logits = new float[(long)positions.Length * Outputs];
        using OrtValue logitsValue = OrtValue.CreateTensorValueFromMemory(logits, [positions.Length, Outputs]);
        Run(ids, lengths, cache, [("logits_positions", positionValue)], [("logits", logitsValue)]);
        return logits;
    }

    /// <summary>Runs a graph that has no outputs but keys and values.</summary>
    /// <param name="ids">Tokens of one row, [S].</param>
    /// <param name="length">Its tokens after this call.</param>
    /// <param name="cache">Read and appended to.</param>
    public void Encode(ReadOnlySpan<int> ids, int length, KeyValueCache cache) => Run(ids, [length], cache, [], []);

    /// <summary>Runs the graph that encodes prompts for the switcher.</summary>
    /// <param name="ids">Tokens of one row, [S].</param>
    /// <param name="length">Its tokens after this call.</param>
    /// <param name="weights">Weight of each token's hidden state, [S].</param>
    /// <param name="state">What is added, [D].</param>
    /// <param name="cache">Read and appended to.</param>
    /// <returns>The pooled hidden state [D] and the head's outputs [M].</returns>
    public (float[] Pooled, float[] Logits) Pool(ReadOnlySpan<int> ids, int length, float[] weights, float[] state, KeyValueCache cache)
    {
        var pooled = new float[Config.HiddenSize];
        var logits = new float[_session.OutputMetadata["switcher_logits"].Dimensions[1]];
        using OrtValue weightValue = OrtValue.CreateTensorValueFromMemory(weights, [1, weights.Length]);
        using OrtValue stateValue = OrtValue.CreateTensorValueFromMemory(state, [1, state.Length]);
        using OrtValue pooledValue = OrtValue.CreateTensorValueFromMemory(pooled, [1, pooled.Length]);
        using OrtValue logitsValue = OrtValue.CreateTensorValueFromMemory(logits, [1, logits.Length]);
        Run(ids, [length], cache, [("switcher_weights", weightValue), ("switcher_state", stateValue)], [("switcher_pooled", pooledValue), ("switcher_logits", logitsValue)]);
        return (pooled, logits);
    }

    public void Dispose()
    {
        _runOptions.Dispose();
        _session.Dispose();
    }

    /// <summary>Checks that ONNX Runtime takes a graph, without running it and without the copy of its weights that running needs.</summary>
    /// <param name="graphPath">The file.</param>
    /// <param name="weights">Base weights.</param>
    public static void CheckLoads(string graphPath, MappedWeights weights) => Open(graphPath, weights, prepack: false, plain: true).Dispose();

    /// <summary>Opens a session as all checks do.</summary>
    /// <param name="graphPath">The file.</param>
    /// <param name="weights">Base weights.</param>
    /// <param name="prepack">Whether weights are brought into the form that running needs.</param>
    /// <param name="plain">Whether ONNX Runtime's kernels compute products, in place of the runtime's.</param>
    public static InferenceSession Open(string graphPath, MappedWeights weights, bool prepack, bool plain)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, IntraOpNumThreads = Environment.ProcessorCount };
        if (!plain)
            OwnKernels.AddTo(options, Environment.ProcessorCount);
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        weights.AddTo(options);
        if (!prepack)
            options.AddSessionConfigEntry("session.disable_prepacking", "1");
        try
        {
            return prepack ? new InferenceSession(graphPath, options, weights.Prepacked) : new InferenceSession(graphPath, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ExportException(DiagnosticCodes.ExportedGraphRejected, $"ONNX Runtime does not load {graphPath}: {e.Message}", e);
        }
    }

    private void Run(
        ReadOnlySpan<int> ids,
        ReadOnlySpan<int> lengths,
        KeyValueCache cache,
        ReadOnlySpan<(string Name, OrtValue Value)> inputs,
        ReadOnlySpan<(string Name, OrtValue Value)> outputs)
    {
        int rows = cache.Rows;
        int[] sequenceLengths = new int[rows];
        int longest = 0;
        for (int row = 0; row < rows; row++)
        {
            sequenceLengths[row] = lengths[row] - 1;
            longest = Math.Max(longest, lengths[row]);
        }

        using OrtValue idValue = OrtValue.CreateTensorValueFromMemory(Widen(ids), [rows, ids.Length / rows]);
        using OrtValue lengthValue = OrtValue.CreateTensorValueFromMemory(sequenceLengths, [rows]);
        using OrtValue totalValue = OrtValue.CreateTensorValueFromMemory(new[] { longest }, [1]);
        using OrtIoBinding binding = _session.CreateIoBinding();
        binding.BindInput("input_ids", idValue);
        binding.BindInput("seqlens_k", lengthValue);
        binding.BindInput("total_sequence_length", totalValue);
        foreach ((string name, OrtValue value) in inputs)
            binding.BindInput(name, value);
        foreach ((string name, OrtValue value) in outputs)
            binding.BindOutput(name, value);
        foreach ((string name, OrtValue value) in _constants)
            binding.BindInput(name, value);
        int tokens = ids.Length / rows;
        using EncodedRows? encoded = _session.InputMetadata.ContainsKey("past_length") ? new EncodedRows(cache.Memory, cache.Views, binding, tokens) : null;
        encoded?.Prepare(longest - tokens, tokens);
        for (int i = 0; i < cache.Views.Length && encoded is null; i++)
        {
            string part = $"{i / 2}.{(i % 2 == 0 ? "key" : "value")}";
            binding.BindInput("past_key_values." + part, cache.Views[i]);
            binding.BindOutput("present." + part, cache.Views[i]);
        }

        try
        {
            _session.RunWithBinding(_runOptions, binding);
            encoded?.Store(longest - tokens, tokens);
        }
        catch (OnnxRuntimeException e)
        {
            throw new ExportException(DiagnosticCodes.ExportedGraphRejected, $"ONNX Runtime does not run the exported graph: {e.Message}", e);
        }
    }

    private static long[] Widen(ReadOnlySpan<int> values)
    {
        var wide = new long[values.Length];
        for (int i = 0; i < values.Length; i++)
            wide[i] = values[i];
        return wide;
    }
}
