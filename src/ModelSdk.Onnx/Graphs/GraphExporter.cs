using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Genai;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Graphs;

/// <summary>
/// Writes one graph per mode over one weight file. Inputs: input_ids int64 [B, S]; seqlens_k int32 [B], tokens of each row
/// after this call minus 1; total_sequence_length int32 [1], the longest row's tokens after this call; logits_positions
/// int64 [P], indices into the flattened [B*S] positions (P may be 0); past_key_values.{i}.key|value float [B, KVH, MAX, d],
/// of a quantized cache int8 [B, KVH, MAX, d] or uint8 [B, KVH, MAX, d/2] (4 bits, the even channel in the low half, plus 8).
/// Outputs: logits float [P, V]; present.{i}.key|value, to be bound to the past's buffers. Either B = 1 with any S, or
/// any B with S = 1, or any B and S without a past; shorter rows are padded on the right and stated in seqlens_k.
/// </summary>
public static class GraphExporter
{
    /// <summary>File name of the base graph.</summary>
    public const string BaseGraphName = "base.onnx";

    /// <summary>File name of the graph that encodes prompts for the switcher.</summary>
    public const string PrefillGraphName = "prefill.onnx";

    /// <summary>File name of the graph that encodes prompts beside a quantized cache.</summary>
    public const string EncoderGraphName = "encode.onnx";

    /// <summary>File name of the graph for onnxruntime-genai.</summary>
    public const string GenaiGraphName = "genai.onnx";

    /// <summary>File name of the graph for rollouts; it is never shipped.</summary>
    public const string RolloutGraphName = "rollout.onnx";

    /// <summary>Writes base.onnx, which refers to weights.bin in the same folder.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <returns>The graph's path relative to <paramref name="folder"/>.</returns>
    /// <exception cref="ExportException">MDL4020: the context is longer than the model's positions.</exception>
    public static string WriteBase(QuantizedModel model, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        Directory.CreateDirectory(folder);
        TransformerGraph.Build(model, options, BundleManifest.BaseMode, QuantizedModel.WeightsFileName, new GraphParts())
            .Write(Path.Combine(folder, BaseGraphName), ProducerVersion);
        return BaseGraphName;
    }

    /// <summary>
    /// Writes encode.onnx, which encodes prompts for a quantized cache as the base graph does, several times faster: it attends in fp32. For B = 1. It has neither
    /// logits_positions nor logits. Further input: past_length int64 [1], tokens that the cache holds. Outputs: present.{i}.key|value [1, S, KVH * width], the new tokens'
    /// keys and values, to be put into the cache.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <returns>The graph's path relative to <paramref name="folder"/>; null where the cache is not quantized: the base graph encodes.</returns>
    /// <exception cref="ExportException">MDL4020: context too long.</exception>
    public static string? WriteEncoder(QuantizedModel model, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        if (model.Cache is null)
            return null;
        Directory.CreateDirectory(folder);
        TransformerGraph.Build(model, options, "encode", QuantizedModel.WeightsFileName, new GraphParts(Encoder: true))
            .Write(Path.Combine(folder, EncoderGraphName), ProducerVersion);
        return EncoderGraphName;
    }

    /// <summary>
    /// Writes NAME.onnx and adapters/NAME/adapter.bin. The base's weights are those of weights.bin under the same initializer
    /// names as in the base graph. The graph lies beside weights.bin because ONNX Runtime refuses data outside a graph's folder.
    /// </summary>
    /// <param name="model">Base weights that the adapter was trained on.</param>
    /// <param name="adapter">The adapter in full precision.</param>
    /// <param name="name">The mode's name.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <exception cref="ExportException">MDL4012: the adapter does not fit; MDL4002: it holds NaN or infinity; MDL4020: context too long.</exception>
    public static BundleAdapter WriteAdapter(QuantizedModel model, LoraAdapter adapter, string name, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        string graph = $"{name}.onnx";
        string weights = $"adapters/{name}/adapter.bin";
        Directory.CreateDirectory(Path.Combine(folder, "adapters", name));
        AdapterTensors tensors = AdapterTensors.Write(model, adapter, folder, weights);
        TransformerGraph.Build(model, options, name, QuantizedModel.WeightsFileName, new GraphParts(tensors))
            .Write(Path.Combine(folder, graph), ProducerVersion);
        return new BundleAdapter(name, graph, weights, adapter.Rank, adapter.Alpha);
    }

    /// <summary>
    /// Writes prefill.onnx, which encodes prompts as the base graph does and tells which mode should answer. It has neither logits_positions nor
    /// logits; beside a quantized cache its inputs and outputs are those of <see cref="WriteEncoder"/>. Further inputs, for B = 1: switcher_weights float [1, S], the weight of each token's hidden state; switcher_state float [1, D], what is
    /// added. Outputs: switcher_pooled float [1, D] = weights x final hidden states + state; switcher_logits float [1, M], the head on it.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="head">The switcher's head.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <returns>The graph's path relative to <paramref name="folder"/>.</returns>
    /// <exception cref="ExportException">MDL4013: the head does not fit; MDL4020: context too long.</exception>
    public static string WritePrefill(QuantizedModel model, SwitcherHead head, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        head.Check();
        if (head.InputSize != model.Architecture.HiddenSize)
            throw new ExportException(DiagnosticCodes.HeadInvalid, $"The switcher's head reads {head.InputSize} numbers, the base's hidden state has {model.Architecture.HiddenSize}. Train the switcher on this base.");
        Directory.CreateDirectory(folder);
        TransformerGraph.Build(model, options, "prefill", QuantizedModel.WeightsFileName, new GraphParts(Switcher: head))
            .Write(Path.Combine(folder, PrefillGraphName), ProducerVersion);
        return PrefillGraphName;
    }

    /// <summary>
    /// Writes NAME.verifier.onnx: the adapter's graph with the verifier's head in place of the LM head; its "logits" are [P, 1]. A verifier with a LoRA of
    /// its own runs that one, written to adapters/NAME/verifier.bin; else the graph refers to the adapter's weights, written as <see cref="WriteAdapter"/> does.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="adapter">The adapter in full precision.</param>
    /// <param name="head">The verifier's head.</param>
    /// <param name="name">The mode's name.</param>
    /// <param name="prompt">The verification prompt.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <exception cref="ExportException">MDL4013: the head does not fit; MDL4012: the LoRA does not fit; MDL4020: context too long.</exception>
    public static BundleVerifierHead WriteVerifier(QuantizedModel model, LoraAdapter adapter, VerifierHead head, string name, string prompt, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        if (head.W.Length != model.Architecture.HiddenSize)
            throw new ExportException(DiagnosticCodes.HeadInvalid, $"The verifier's head reads {head.W.Length} numbers, the base's hidden state has {model.Architecture.HiddenSize}. Train the verifier on this base.");
        VerifierHead.CheckFinite("verifier", head.W, [head.Bias]);
        string graph = $"{name}.verifier.onnx";
        string weights = head.Lora is null ? $"adapters/{name}/adapter.bin" : $"adapters/{name}/verifier.bin";
        Directory.CreateDirectory(Path.Combine(folder, "adapters", name));
        AdapterTensors tensors = AdapterTensors.Write(model, head.Lora ?? adapter, folder, weights);
        TransformerGraph.Build(model, options, $"{name}.verifier", QuantizedModel.WeightsFileName, new GraphParts(tensors, Verifier: head))
            .Write(Path.Combine(folder, graph), ProducerVersion);
        return new BundleVerifierHead(graph, weights, prompt, head.Confidence);
    }

    /// <summary>
    /// Writes rollout.onnx: the base with a float32 LoRA as optional inputs, so that the weights may change from run to run. Without them it
    /// computes what the base graph computes. <see cref="LoraInputs"/> names the inputs.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="targets">Short names of the adapted linears, e.g. "q_proj"; as <see cref="LoraAdapter.Targets"/>.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The graph's folder; created when missing.</param>
    /// <returns>The graph's path relative to <paramref name="folder"/>.</returns>
    /// <exception cref="ExportException">MDL4012: the model has no such linear; MDL4020: context too long.</exception>
    public static string WriteRollout(QuantizedModel model, IEnumerable<string> targets, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        Directory.CreateDirectory(folder);
        IReadOnlySet<string> linears = LoraInputs.Linears(model, targets);
        TransformerGraph.Build(model, options, "rollout", QuantizedModel.WeightsFileName, new GraphParts(LoraInputs: linears))
            .Write(Path.Combine(folder, RolloutGraphName), ProducerVersion);
        return RolloutGraphName;
    }

    /// <summary>
    /// Writes genai.onnx, the base with the inputs and outputs of onnxruntime-genai, and adapters/NAME/NAME.onnx_adapter for each adapter. Inputs: input_ids int64 [B, S];
    /// attention_mask int64 [B, T], T = past and new tokens; past_key_values.{i}.key|value float [B, KVH, past, d]; the adapters' LoRA as optional inputs. Outputs: logits float
    /// [B, S, V]; present.{i}.key|value, new tensors or the past's buffers. An adapter file holds the adapter as deployed (<see cref="AsDeployed"/>) in float32.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="adapters">The adapters by name, in full precision.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">The bundle's folder; created when missing.</param>
    /// <returns>The files' paths relative to <paramref name="folder"/>, the graph's first.</returns>
    /// <exception cref="ExportException">MDL4012: an adapter does not fit; MDL4002: it holds NaN or infinity; MDL4020: context too long.</exception>
    public static IReadOnlyList<string> WriteGenai(QuantizedModel model, IReadOnlyDictionary<string, LoraAdapter> adapters, GraphOptions options, string folder)
    {
        CheckContext(model, options);
        Directory.CreateDirectory(folder);
        List<string> files = [GenaiGraphName];
        foreach ((string name, LoraAdapter adapter) in adapters.OrderBy(a => a.Key, StringComparer.Ordinal))
        {
            string file = GenaiAdapterFile.PathOf(name);
            Directory.CreateDirectory(Path.Combine(folder, "adapters", name));
            using LoraMemory lora = new(model, adapter.Targets, adapter.Rank);
            lora.Set(AsDeployed(model, adapter));
            GenaiAdapterFile.Write(Path.Combine(folder, file), lora.Inputs);
            files.Add(file);
        }

        IReadOnlySet<string>? linears = adapters.Count == 0 ? null : LoraInputs.Linears(model, adapters.Values.SelectMany(a => a.Targets).Distinct(StringComparer.Ordinal));
        TransformerGraph.Build(model, options, "genai", QuantizedModel.WeightsFileName, new GraphParts(LoraInputs: linears, Genai: true))
            .Write(Path.Combine(folder, GenaiGraphName), ProducerVersion);
        return files;
    }

    /// <summary>
    /// The adapter as deployed: what the INT8 constants amount to, with alpha / r folded into B. Training code that runs
    /// this adapter on the dequantized base computes what the exported graph computes, up to rounding of activations.
    /// Over a base of weights "none" adapters stay float32.
    /// </summary>
    /// <exception cref="ExportException">MDL4012: the adapter does not fit; MDL4002: it holds NaN or infinity.</exception>
    public static LoraAdapter AsDeployed(QuantizedModel model, LoraAdapter adapter) => AdapterTensors.Round(model, adapter);

    internal static string ProducerVersion => typeof(GraphExporter).Assembly.GetName().Version?.ToString(3) ?? "0";

    private static void CheckContext(QuantizedModel model, GraphOptions options)
    {
        if (options.Context < 1 || options.Context > model.Positions)
            throw new ExportException(DiagnosticCodes.ContextTooLong, $"A context of {options.Context} tokens was asked for; this base has positions for 1 to {model.Positions}. Lower \"context\" in the manifest.");
    }
}
