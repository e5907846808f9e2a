using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>
/// Qwen2 as Hugging Face computes it (RMSNorm, SwiGLU, grouped-query attention, biases on q/k/v, rotary positions, tied or untied
/// head) with fp32 parameters; q/k/v and gate/up are fused. Products and activations have the type of <see cref="ComputeOptions"/>.
/// </summary>
/// <remarks>Not thread-safe. Tensors that methods return belong to the caller's <c>DisposeScope</c>: open one a step.</remarks>
public sealed class Transformer : IDisposable
{
    /// <summary>Widest base that trains in padded rectangles with merged adapters; wider ones pack rows and keep adapters low-rank.</summary>
    public const int RectanglesUpTo = 512;

    private readonly Layer[] _layers;
    private readonly Tensor _embedding;
    private readonly Tensor? _head;
    private readonly Tensor _finalNorm;
    private readonly Tensor _rowScale;
    private readonly RotaryTable _rotary;
    private readonly CacheRounding[]? _cache;
    private readonly Dictionary<int, Tensor> _causal = [];
    private readonly bool _condensed;
    private LayerWeights[]? _frozen;
    private Tensor? _frozenHead;

    private Transformer(TransformerConfig config, ComputeOptions compute, bool trainable, Func<string, long[], Tensor> create)
    {
        TorchLibrary.EnsureLoaded();
        Config = config;
        Compute = compute;
        Trainable = trainable;
        Device = compute.Device ?? CPU;
        Group = config.Heads / config.KeyValueHeads;
        _condensed = IsCondensed(config, trainable);
        var parameters = new List<TransformerParameter>();
        Parameters = parameters;
        int d = config.HiddenSize, f = config.IntermediateSize, query = config.QuerySize, kv = config.KeyValueSize;

        // Queries carry the 1/sqrt(h) of the scores: [(H + 2 KVH) h].
        _rowScale = torch.ones([query + (2 * kv)], device: Device).DetachFromDisposeScope();
        using (no_grad())
        using (var rows = _rowScale.narrow(0, 0, query))
        {
            rows.fill_(1 / Math.Sqrt(config.HeadSize));
        }

        Tensor Add(string name, ParameterKind kind, int columns, params (string Name, int Rows)[] parts) => AddFolded(name, kind, columns, null, parts);

        Tensor AddFolded(string name, ParameterKind kind, int columns, Func<Tensor, Tensor>? fold, params (string Name, int Rows)[] parts)
        {
            long[] Shape(int rows) => columns == 0 ? [rows] : [rows, columns];
            using var scope = NewDisposeScope();
            var value = (parts.Length == 1
                ? create(parts[0].Name, Shape(parts[0].Rows))
                : torch.cat([.. parts.Select(p => create(p.Name, Shape(p.Rows)))], 0)).to(Device).contiguous();
            if (_condensed)
            {
                value = fold is null ? value : fold(value);
                // Copied also where the type stays: the source may lie in a managed array.
                value = value.to(kind == ParameterKind.Vector && fold is null ? ScalarType.Float32 : compute.Type, copy: true);
            }

            value.DetachFromDisposeScope();
            value.requires_grad = trainable;
            parameters.Add(new TransformerParameter(name, value, kind, [.. parts.Select(p => new ParameterPart(p.Name, p.Rows))]));
            return value;
        }

        _embedding = Add("embedding", ParameterKind.Embedding, d, ("model.embed_tokens.weight", config.VocabularySize));
        _layers = new Layer[config.Layers];
        for (var i = 0; i < config.Layers; i++)
        {
            var hf = $"model.layers.{i}.";
            var own = $"layers.{i}.";
            var attentionNorm = Add(own + "attention_norm", ParameterKind.Vector, 0, (hf + "input_layernorm.weight", d));
            var qkv = AddFolded(own + "qkv", ParameterKind.Matrix, d, w => FoldQkv(w, attentionNorm), (hf + "self_attn.q_proj.weight", query), (hf + "self_attn.k_proj.weight", kv), (hf + "self_attn.v_proj.weight", kv));
            var bias = AddFolded(own + "qkv_bias", ParameterKind.Vector, 0, FoldBias, (hf + "self_attn.q_proj.bias", query), (hf + "self_attn.k_proj.bias", kv), (hf + "self_attn.v_proj.bias", kv));
            var output = Add(own + "output", ParameterKind.Matrix, query, (hf + "self_attn.o_proj.weight", d));
            var feedNorm = Add(own + "feed_norm", ParameterKind.Vector, 0, (hf + "post_attention_layernorm.weight", d));
            var gateUp = AddFolded(own + "gate_up", ParameterKind.Matrix, d, w => FoldGateUp(w, feedNorm), (hf + "mlp.gate_proj.weight", f), (hf + "mlp.up_proj.weight", f));
            var down = Add(own + "down", ParameterKind.Matrix, f, (hf + "mlp.down_proj.weight", d));
            _layers[i] = new Layer(attentionNorm, qkv, bias, output, feedNorm, gateUp, down);
        }

        _finalNorm = Add("final_norm", ParameterKind.Vector, 0, ("model.norm.weight", d));
        _head = config.TiedEmbeddings ? null : Add("head", ParameterKind.Embedding, d, ("lm_head.weight", config.VocabularySize));

        _rotary = new RotaryTable(config, config.MaxPositions, compute.Type, Device);
        _cache = compute.Cache is { } cache ? [.. cache.Layers.Select(l => new CacheRounding(l, cache.Format, config.HeadSize, Device))] : null;
    }

    /// <summary>Shape and constants.</summary>
    public TransformerConfig Config { get; }

    /// <summary>Type and device of the computation.</summary>
    public ComputeOptions Compute { get; }

    /// <summary>Whether the parameters take gradients.</summary>
    public bool Trainable { get; }

    /// <summary>
    /// All parameters, in a fixed order; fp32. Of a frozen base wider than <see cref="RectanglesUpTo"/> the weights and biases of linears, the
    /// embedding and the head are kept only as computations read them: in their type, norms and the scale of the queries folded in.
    /// </summary>
    public IReadOnlyList<TransformerParameter> Parameters { get; }

    internal Device Device { get; }

    internal int Group { get; }

    internal RotaryTable Rotary => _rotary;

    internal IReadOnlyList<Layer> Layers => _layers;

    /// <summary>Folded into the fused q/k/v rows: [(H + 2 KVH) h].</summary>
    internal Tensor RowScale => _rowScale;

    /// <summary>A new model with random weights: N(0, 0.02^2), the two projections into the residual stream by 1/sqrt(2 layers) less, biases 0, norms 1.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="seed">Seed; the same seed gives the same weights.</param>
    /// <param name="compute">Type and device; null: <see cref="ComputeOptions.Fastest"/>.</param>
    /// <exception cref="TrainingException">MDL3001: torch is not available.</exception>
    public static Transformer Create(TransformerConfig config, long seed, ComputeOptions? compute = null)
    {
        TorchLibrary.EnsureLoaded();
        using var generator = new Generator((ulong)seed);
        var deviation = 0.02;
        return new Transformer(config, compute ?? ComputeOptions.Fastest, trainable: true, (name, shape) =>
        {
            if (shape.Length == 1)
            {
                return name.EndsWith(".bias", StringComparison.Ordinal) ? torch.zeros(shape) : torch.ones(shape);
            }

            var into = name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal);
            return torch.randn(shape, generator: generator).mul_(into ? deviation / Math.Sqrt(2 * config.Layers) : deviation);
        });
    }

    /// <summary>A model with given weights.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="read">Values by Hugging Face name, row-major: a checkpoint's or a quantized model's reader.</param>
    /// <param name="trainable">True: parameters take gradients. False: a frozen base.</param>
    /// <param name="compute">Type and device; null: <see cref="ComputeOptions.Fastest"/>.</param>
    /// <exception cref="TrainingException">MDL3001: torch is not available. MDL3020: a tensor has another size than the config implies.</exception>
    public static Transformer Load(TransformerConfig config, Func<string, float[]> read, bool trainable = false, ComputeOptions? compute = null)
    {
        TorchLibrary.EnsureLoaded();
        var condensed = IsCondensed(config, trainable);
        var model = new Transformer(config, compute ?? ComputeOptions.Fastest, trainable, (name, shape) =>
        {
            var values = read(name);
            var expected = shape.Aggregate(1L, (a, b) => a * b);
            if (values.Length != expected)
            {
                throw new TrainingException(
                    DiagnosticCodes.TrainingSettingInvalid,
                    $"Tensor '{name}' has {values.Length} values, but the config implies {string.Join(" x ", shape)} = {expected}. The weights and config.json do not belong together.");
            }

            // Cloned into Torch's own memory: over a managed array products round differently wherever the array happens to lie. A condensed base copies later.
            return condensed ? from_array(values, ScalarType.Float32).view(shape) : tensor(values, shape).clone();
        });
        if (condensed)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true); // gives back the arrays that were read, up to the whole base in fp32
        }

        return model;
    }

    /// <summary>Mean cross entropy of the places that have a loss weight; the LM head runs on those only. Call <c>backward()</c> on it.</summary>
    /// <param name="batch">Tokens and loss weights.</param>
    /// <param name="normalizer">What the weighted sum is divided by; null: the batch's own total weight. Give the total of all micro-batches of a step to accumulate gradients.</param>
    /// <returns>Scalar, fp32.</returns>
    public Tensor Loss(TokenBatch batch, double? normalizer = null)
    {
        var places = new List<long>();
        var targets = new List<long>();
        var weights = new List<float>();
        for (var i = 0; i < batch.Ids.Length; i++)
        {
            if (batch.LossWeights[i] != 0)
            {
                if (i % batch.Length == 0)
                {
                    throw new ArgumentException($"Place 0 of row {i / batch.Length} has a loss weight, but nothing predicts it.", nameof(batch));
                }

                places.Add(i - 1);
                targets.Add(batch.Ids[i]);
                weights.Add(batch.LossWeights[i]);
            }
        }

        if (places.Count == 0)
        {
            throw new ArgumentException("No place of the batch has a loss weight.", nameof(batch));
        }

        return CrossEntropy(Hidden(batch).view(-1, Config.HiddenSize), [.. places], [.. targets], [.. weights], normalizer ?? batch.TotalWeight);
    }

    /// <summary>Logits of every place: [B, T, V], fp32.</summary>
    /// <param name="batch">Tokens; loss weights do not matter.</param>
    public Tensor Logits(TokenBatch batch) => HeadLogits(Hidden(batch));

    /// <summary>Residual stream after the last layer, before the final norm: [B, T, D].</summary>
    /// <param name="batch">Tokens; loss weights do not matter.</param>
    public Tensor Hidden(TokenBatch batch)
    {
        CheckLength(batch.Length);
        var ids = tensor(batch.Ids, [batch.Rows, batch.Length], device: Device);
        var weights = ComputeWeights();
        if (UsesKernels(weights, batch.Length))
        {
            return RunKernels(weights, Embed(ids), new int[batch.Rows], past: null, FirstOfSegment(batch));
        }

        var mask = batch.Segments is null
            ? CausalMask(batch.Length)
            : AttentionMask.Segmented(tensor(batch.Segments, [batch.Rows, batch.Length], device: Device), Config.KeyValueHeads, Group, Compute.Type);
        return DecoderStack.Run(Config, weights, Embed(ids), _rotary, _rotary.Range(0, batch.Length), mask);
    }

    /// <summary>What a cache holds after a sequence: keys (even) and values (odd) of each layer, [KVH, T, h].</summary>
    /// <param name="tokens">The sequence.</param>
    public IReadOnlyList<float[]> KeysAndValues(int[] tokens)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        return [.. PromptCache.Encode(this, FrozenWeights(), [tokens]).unbind(0).Select(Values)];
    }

    /// <summary>Copies of all parameters under their Hugging Face names, ready for a safetensors file.</summary>
    /// <exception cref="InvalidOperationException">A frozen base wider than <see cref="RectanglesUpTo"/> does not keep them.</exception>
    public IEnumerable<NamedTensor> Export()
    {
        if (_condensed)
        {
            throw new InvalidOperationException($"A frozen base wider than {RectanglesUpTo} keeps its weights only as computations read them. Load it with trainable: true to export it.");
        }

        foreach (var parameter in Parameters)
        {
            var values = Values(parameter.Value);
            var columns = parameter.Value.shape.Length == 1 ? 1 : (int)parameter.Value.shape[1];
            var at = 0;
            foreach (var part in parameter.Parts)
            {
                yield return new NamedTensor(part.Name, parameter.Value.shape.Length == 1 ? [part.Rows] : [part.Rows, columns], values[(at * columns)..((at + part.Rows) * columns)]);
                at += part.Rows;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in Parameters)
        {
            parameter.Value.Dispose();
        }

        foreach (var mask in _causal.Values)
        {
            mask.Dispose();
        }

        foreach (var linear in (_condensed ? [] : _frozen ?? []).SelectMany(l => (LinearWeights[])[l.Qkv, l.Output, l.GateUp, l.Down]))
        {
            linear.Weight.Dispose();
            linear.Bias?.Dispose();
        }

        foreach (var cache in _cache ?? [])
        {
            cache.Dispose();
        }

        _frozenHead?.Dispose();
        _rowScale.Dispose();
        _rotary.Dispose();
    }

    internal static float[] Values(Tensor value)
    {
        using var flat = value.detach().to_type(ScalarType.Float32).cpu().contiguous();
        return flat.data<float>().ToArray();
    }

    /// <summary>ids int64 [B, T] -> [B, T, D] in the computation's type.</summary>
    internal Tensor Embed(Tensor ids) =>
        _embedding.index_select(0, ids.reshape(-1)).to_type(Compute.Type).view(ids.shape[0], ids.shape[1], Config.HiddenSize);

    /// <summary>Residual stream [.., D] -> output of the final norm [.., D], gain included: what the LM head reads.</summary>
    internal Tensor FinalNorm(Tensor hidden) => DecoderStack.Normalize(hidden, Config.RmsNormEpsilon) * _finalNorm.to_type(Compute.Type);

    /// <summary>Residual stream [.., D] -> fp32 logits [.., V].</summary>
    internal Tensor HeadLogits(Tensor hidden) =>
        nn.functional.linear(FinalNorm(hidden), Head()).to_type(ScalarType.Float32);

    /// <summary>Weighted cross entropy of some places of the residual stream [N, D]; fp32 scalar.</summary>
    /// <param name="hidden">[N, D].</param>
    /// <param name="places">Rows of it that predict.</param>
    /// <param name="targets">What they should predict.</param>
    /// <param name="weights">Weight of each; null: 1.</param>
    /// <param name="normalizer">What the sum is divided by.</param>
    internal Tensor CrossEntropy(Tensor hidden, long[] places, long[] targets, float[]? weights, double normalizer)
    {
        var chosen = hidden.index_select(0, tensor(places, device: Device));
        if (HasKernels)
        {
            return FusedLoss.Run(chosen, _finalNorm.to_type(Compute.Type), Head(), new LossCall(new CrossEntropyLoss(targets, weights, 1 / normalizer), Config.RmsNormEpsilon));
        }

        var each = nn.functional.cross_entropy(HeadLogits(chosen), tensor(targets, device: Device), reduction: nn.Reduction.None);
        return (weights is null ? each : each * tensor(weights, device: Device)).sum() / normalizer;
    }

    /// <summary>A policy's loss on some places of the residual stream [N, D]; fp32 scalar.</summary>
    /// <param name="hidden">[N, D].</param>
    /// <param name="places">Rows of it that predict.</param>
    /// <param name="loss">Its rows belong to <paramref name="places"/>; takes the log-probabilities that were found.</param>
    internal Tensor PolicyLoss(Tensor hidden, long[] places, PolicyLoss loss)
    {
        var chosen = hidden.index_select(0, tensor(places, device: Device));
        return HasKernels
            ? FusedLoss.Run(chosen, _finalNorm.to_type(Compute.Type), Head(), new LossCall(loss, Config.RmsNormEpsilon))
            : loss.Composed(HeadLogits(chosen));
    }

    /// <summary>Log-probabilities of tokens at a temperature, without gradients.</summary>
    /// <param name="hidden">[N, D].</param>
    /// <param name="places">Rows of it that predict.</param>
    /// <param name="targets">Token of each place.</param>
    /// <param name="temperature">Logits are divided by it.</param>
    internal float[] LogProbs(Tensor hidden, long[] places, long[] targets, double temperature)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        var chosen = hidden.index_select(0, tensor(places, device: Device));
        if (!HasKernels)
        {
            return Values(Kernels.PolicyLoss.LogProbs(HeadLogits(chosen), targets, temperature));
        }

        var (gain, head) = (_finalNorm.to_type(Compute.Type), Head());
        List<float> found = [];
        foreach (var (first, count) in FusedLoss.Chunks(places.Length, Config.VocabularySize))
        {
            using var logits = FusedLoss.Logits(chosen.narrow(0, first, count), gain, head, Config.RmsNormEpsilon);
            found.AddRange(Compute.Type == ScalarType.BFloat16
                ? PolicyKernel.Run<Bf16>(logits, targets[first..(first + count)], temperature, gradient: null)
                : PolicyKernel.Run<Fp32>(logits, targets[first..(first + count)], temperature, gradient: null));
        }

        return [.. found];
    }

    /// <summary>
    /// Most bytes of activations that wait for the backward pass, about. Where a micro-batch has more, its first layers keep their input only
    /// and run forward twice.
    /// </summary>
    internal long ActivationBytes { get; set; } = 5L << 29;

    /// <summary>
    /// Whether rows stand behind each other without padding. Only at widths whose LoRA is not merged: at small ones padding costs
    /// little, and rectangles keep what was measured there.
    /// </summary>
    internal bool PacksRows => HasKernels && Config.HiddenSize > RectanglesUpTo;

    /// <summary>Whether <see cref="RunKernels"/> can run these weights: on a CPU with AVX-512, without dropout and rounded keys.</summary>
    internal bool UsesKernels(LayerWeights[] weights, int columns) =>
        HasKernels && columns <= 8000 && _cache is null && !weights.Any(l => l.Qkv.Dropout > 0 || l.Output.Dropout > 0 || l.GateUp.Dropout > 0 || l.Down.Dropout > 0);

    /// <summary>Tokens of a micro-batch whose activations fit <see cref="ActivationBytes"/>.</summary>
    /// <param name="length">Tokens of its longest row.</param>
    /// <param name="past">Tokens of its longest prompt.</param>
    internal int TokensInMemory(int length, int past) =>
        (int)Math.Min(int.MaxValue, ActivationBytes * length / (Config.Layers * LayerActivations.Bytes(Config, 1, length, past, length, ElementBytes)));

    /// <summary><see cref="DecoderStack.Run"/> by kernels.</summary>
    /// <param name="weights">Weights.</param>
    /// <param name="x">[B, T, D]; [1, N, D] with <paramref name="packed"/>.</param>
    /// <param name="starts">Prompt tokens before each row.</param>
    /// <param name="past">Their keys and values, layer by layer, each [B, KVH, P, h]; null without prompts.</param>
    /// <param name="first">[B, T] first token that each token sees, or null.</param>
    /// <param name="capture">Gets each layer's keys and values [B KVH, S, h].</param>
    /// <param name="packed">Tokens of each row where they stand behind each other; null: a rectangle.</param>
    /// <returns>As <paramref name="x"/>.</returns>
    internal Tensor RunKernels(LayerWeights[] weights, Tensor x, int[] starts, Tensor[]? past, int[]? first = null, Action<Tensor, Tensor>? capture = null, int[]? packed = null)
    {
        var shape = x.shape;
        var geometry = new AttentionGeometry(Config, starts.Length, packed is null ? (int)shape[1] : packed.Max(), past is null ? 0 : (int)past[0].shape[2], starts, first, _rotary.HalfCos, _rotary.HalfSin, packed);
        var kept = ActivationBytes / LayerActivations.Bytes(Config, geometry.Rows, geometry.Length, geometry.Past, geometry.Tokens, ElementBytes);
        x = x.view(-1, Config.HiddenSize);
        for (var i = 0; i < weights.Length; i++)
        {
            x = FusedLayer.Run(x, weights[i], new LayerCall(geometry, past?[2 * i], past?[(2 * i) + 1], capture, Recompute: i < weights.Length - kept));
        }

        return x.view(shape);
    }

    private int ElementBytes => Compute.Type == ScalarType.Float32 ? 4 : 2;

    /// <summary>Weights of the LM head in the computation's type: [V, D].</summary>
    private Tensor Head()
    {
        if (Trainable || Compute.Type == ScalarType.Float32)
        {
            return (_head ?? _embedding).to_type(Compute.Type);
        }

        if (_frozenHead is null)
        {
            using var gradients = no_grad();
            _frozenHead = (_head ?? _embedding).to_type(Compute.Type).DetachFromDisposeScope();
        }

        return _frozenHead.alias(); // the caller's scope frees what it gets
    }

    private bool HasKernels => !Compute.Composed && KernelSupport.IsAvailable && Device.type == DeviceType.CPU;

    /// <summary>First token of its own text for each token of packed rows.</summary>
    private static int[]? FirstOfSegment(TokenBatch batch)
    {
        if (batch.Segments is null)
        {
            return null;
        }

        var first = new int[batch.Ids.Length];
        for (var i = 1; i < first.Length; i++)
        {
            var t = i % batch.Length;
            first[i] = t == 0 ? 0 : batch.Segments[i] == batch.Segments[i - 1] ? first[i - 1] : t;
        }

        return first;
    }

    /// <summary>Weights in the computation's type with norms and the scale of the queries folded in; differentiable where the parameters are.</summary>
    internal LayerWeights[] ComputeWeights() => _condensed ? FrozenWeights() : [.. _layers.Select((l, i) => new LayerWeights(
        new LinearWeights(FoldQkv(l.Qkv, l.AttentionNorm).to_type(Compute.Type), FoldBias(l.QkvBias).to_type(Compute.Type)),
        new LinearWeights(l.Output.to_type(Compute.Type)),
        new LinearWeights(FoldGateUp(l.GateUp, l.FeedNorm).to_type(Compute.Type)),
        new LinearWeights(l.Down.to_type(Compute.Type)),
        _cache?[i]))];

    /// <summary><see cref="ComputeWeights"/> without gradients, made once: for a base that does not change any more.</summary>
    internal LayerWeights[] FrozenWeights()
    {
        if (Trainable)
        {
            throw new InvalidOperationException("The weights of a trainable model change; load it with trainable: false to use it as a base.");
        }

        if (_condensed)
        {
            return _frozen ??= [.. _layers.Select((l, i) => new LayerWeights(
                new LinearWeights(l.Qkv, l.QkvBias), new LinearWeights(l.Output), new LinearWeights(l.GateUp), new LinearWeights(l.Down), _cache?[i]))];
        }

        if (_frozen is null)
        {
            using var gradients = no_grad();
            using var scope = NewDisposeScope();
            LinearWeights Keep(LinearWeights l) => new(l.Weight.clone().DetachFromDisposeScope(), l.Bias?.clone().DetachFromDisposeScope());
            _frozen = [.. ComputeWeights().Select(l => new LayerWeights(Keep(l.Qkv), Keep(l.Output), Keep(l.GateUp), Keep(l.Down), l.Cache))];
        }

        return _frozen;
    }

    /// <summary>An fp32 weight that a merged adapter starts from, with what belongs to it folded in.</summary>
    /// <param name="weight">A parameter.</param>
    /// <param name="gain">Gain of the norm before it [in], or null.</param>
    /// <param name="rowScale">Scale of the queries [out, 1], or null.</param>
    internal Tensor Folded(Tensor weight, Tensor? gain, Tensor? rowScale)
    {
        if (_condensed)
        {
            return weight.to_type(ScalarType.Float32).alias();
        }

        var folded = gain is null ? weight : weight * gain;
        return (rowScale is null ? folded : folded * rowScale).clone();
    }

    /// <summary>Whether only what computations read is kept. Small bases keep fp32, which merged adapters start from.</summary>
    private static bool IsCondensed(TransformerConfig config, bool trainable) => !trainable && config.HiddenSize > RectanglesUpTo;

    private Tensor FoldQkv(Tensor weight, Tensor norm) => weight * norm * _rowScale.unsqueeze(1);

    private Tensor FoldBias(Tensor bias) => bias * _rowScale;

    private static Tensor FoldGateUp(Tensor weight, Tensor norm) => weight * norm;

    /// <summary>[1, G*T, T], kept for the next batch of this length.</summary>
    internal Tensor CausalMask(int length)
    {
        if (!_causal.TryGetValue(length, out var mask))
        {
            mask = AttentionMask.Causal(length, Group, Compute.Type, Device).DetachFromDisposeScope();
            _causal[length] = mask;
        }

        return mask;
    }

    internal void CheckLength(int length)
    {
        if (length > _rotary.Positions)
        {
            throw new TrainingException(
                DiagnosticCodes.ExampleTooLong,
                $"A sequence of {length} tokens is longer than the model's {_rotary.Positions} positions. Shorten the text or raise max_position_embeddings.");
        }
    }

    /// <summary>Parameters of one layer.</summary>
    internal sealed record Layer(Tensor AttentionNorm, Tensor Qkv, Tensor QkvBias, Tensor Output, Tensor FeedNorm, Tensor GateUp, Tensor Down);
}
