using Microsoft.ML.OnnxRuntime;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Onnx.Rollouts;

/// <summary>
/// Samples from an adapter that is being trained, on the engine and the quantized base that it will be deployed on. The LoRA is an input of the
/// graph, so that it may change at every step without a session being built again.
/// </summary>
public sealed class RolloutEngine : IDisposable
{
    private readonly WeightMap _weights;
    private readonly PrePackedWeightsContainer _prepacked = new();
    private readonly LoraMemory _lora;
    private readonly GraphSession _base;
    private readonly GraphSession? _encoder;
    private readonly GraphSession _adapted;
    private readonly BatchDecoder _decoder;
    private readonly int _rank;
    private readonly double _alpha;

    /// <summary>Writes rollout.onnx and loads it. Until an adapter is set, it samples from the base.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="folder">Where the graph is written; created when missing.</param>
    /// <param name="adapter">Its rank, alpha and linears are those of every later adapter; its values are set.</param>
    /// <param name="options">Context and accuracy levels; the deployed graph's, so that what is trained is what is deployed.</param>
    /// <param name="format">What tokens mean.</param>
    /// <param name="rows">Sequences that each of the workers decodes at once; null = the best measured.</param>
    /// <param name="workers">Threads, each with a batch of its own; null = the number of processors.</param>
    /// <exception cref="ExportException">MDL4012: the adapter does not fit; MDL4020: context too long; MDL4002: the adapter holds NaN or infinity.</exception>
    public RolloutEngine(QuantizedModel model, string folder, LoraAdapter adapter, GraphOptions options, OutputFormat format, int? rows = null, int? workers = null)
    {
        string graph = GraphExporter.WriteRollout(model, adapter.Targets, options, folder);
        _rank = adapter.Rank;
        _alpha = adapter.Alpha;
        using var placeholder = new WeightFilePlaceholder(folder);
        _weights = WeightMap.Open(model.Folder, new BundleWeights(QuantizedModel.WeightsFileName, model.Tensors), new FileInfo(model.WeightsPath).Length);
        _lora = new LoraMemory(model, adapter.Targets, adapter.Rank);
        _base = GraphSession.Load(BundleManifest.BaseMode, 0, Path.Combine(folder, graph), _weights, _prepacked, threads: 1);
        if (GraphExporter.WriteEncoder(model, options, folder) is { } encoder)
            _encoder = GraphSession.Load(BundleManifest.BaseMode, 0, Path.Combine(folder, encoder), _weights, _prepacked, threads: 1);
        _adapted = _base.With("rollout", 1, _lora.Inputs);
        _decoder = new BatchDecoder(model.Architecture, format, _encoder ?? _base, _adapted, options.Context, rows ?? BatchDecoder.DefaultRows, workers ?? Environment.ProcessorCount, cache: model.Cache?.Format ?? CacheFormat.None);
        SetAdapter(adapter);
    }

    /// <summary>Replaces the adapter; takes effect with the next call of <see cref="Sample"/>.</summary>
    /// <param name="adapter">Of the same rank and linears as the one the engine was created with.</param>
    /// <exception cref="ExportException">MDL4012: it is another one; MDL4002: it holds NaN or infinity.</exception>
    public void SetAdapter(LoraAdapter adapter) => _lora.Set(adapter);

    /// <summary>Replaces the adapter's values, at the alpha of the one the engine was created with; takes effect with the next call of <see cref="Sample"/>.</summary>
    /// <param name="linears">A [r, in] and B [out, r] by module name ("model.layers.0.self_attn.q_proj"), not scaled.</param>
    /// <exception cref="ExportException">MDL4012: other linears or shapes; MDL4002: NaN or infinity.</exception>
    public void SetAdapter(IReadOnlyDictionary<string, (float[] A, float[] B)> linears) => _lora.Set(linears, _alpha / _rank);

    /// <summary>Generates all samples of all prompts.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="options">How they are answered.</param>
    /// <param name="progress">Told about once a step, from worker threads, one call at a time.</param>
    /// <param name="cancellationToken">Checked before each step.</param>
    /// <returns>The sequences, by prompt and sample. The same prompts, options and adapter give the same ones.</returns>
    public IReadOnlyList<BatchSequence> Sample(IReadOnlyList<BatchPrompt> prompts, BatchOptions options, Action<BatchProgress>? progress = null, CancellationToken cancellationToken = default) =>
        _decoder.Run(prompts, options, progress, cancellationToken);

    /// <summary>Frees sessions and memory.</summary>
    public void Dispose()
    {
        _decoder.Dispose();
        _adapted.Dispose();
        _base.Dispose();
        _encoder?.Dispose();
        _lora.Dispose();
        _prepacked.Dispose();
        _weights.Dispose();
    }
}
