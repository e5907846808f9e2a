using ModelSdk.Manifest;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Protobuf;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using static ModelSdk.Onnx.Graphs.OnnxGraph;
using DataType = ModelSdk.Onnx.Protobuf.TensorProto.Types.DataType;

namespace ModelSdk.Onnx.Graphs;

/// <summary>
/// The decoder as an ONNX graph, with or without an adapter. [B, S] tokens in, logits of [P] chosen positions out, the
/// KV cache [B, KVH, MAX, d] updated in place by binding the same buffer to past and present.
/// </summary>
internal sealed partial class TransformerGraph
{
    private readonly QuantizedModel _model;
    private readonly TransformerConfig _config;
    private readonly GraphOptions _options;
    private readonly string _weightsLocation;
    private readonly GraphParts _parts;
    private readonly OnnxGraph _graph;

    private TransformerGraph(QuantizedModel model, GraphOptions options, string name, string weightsLocation, GraphParts parts)
    {
        _model = model;
        _config = model.Architecture;
        _options = options;
        _weightsLocation = weightsLocation;
        _parts = parts;
        _graph = new OnnxGraph(name);
    }

    /// <summary>Builds a graph.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="name">The graph's name.</param>
    /// <param name="weightsLocation">weights.bin relative to the graph's folder.</param>
    /// <param name="parts">What it has beside the base's layers; none for the base with its LM head.</param>
    public static OnnxGraph Build(QuantizedModel model, GraphOptions options, string name, string weightsLocation, GraphParts parts)
    {
        var builder = new TransformerGraph(model, options, name, weightsLocation, parts);
        builder.Build();
        return builder._graph;
    }

    private void Build()
    {
        DeclareInputs();
        string residual = Embed("input_ids");                                         // [B, S, D]
        string hidden = _graph.Node("SimplifiedLayerNormalization", "", Layer(0, "input_layernorm"),
            [residual, Stored(Layer(0, "input_layernorm.weight"))], Epsilon(), Int("axis", -1));
        for (int layer = 0; layer < _config.Layers; layer++)
        {
            if (_parts.Encoder && layer == _config.Layers - 1)
            {
                _ = EncodedHeads(layer, hidden);
                return;
            }

            string attended = Attention(layer, hidden);                               // [B, S, D]
            (hidden, residual) = Norm(residual, attended, Layer(layer, "post_attention_layernorm"), needsSum: true);
            string changed = FeedForward(layer, hidden);                              // [B, S, D]
            bool last = layer == _config.Layers - 1;
            (hidden, residual) = Norm(residual, changed, last ? "model.norm" : Layer(layer + 1, "input_layernorm"), needsSum: !last);
        }

        if (_parts.Genai)
        {
            Product(TensorNames.Head, hidden, "logits", null);                                                                         // [B, S, V]
            return;
        }

        string flat = _graph.Node("Reshape", "", "positions.flat", [hidden, _graph.Constant("positions.shape", -1, _config.HiddenSize)]); // [B*S, D]
        if (_parts.Switcher is { } switcher)
        {
            Switch(switcher, flat);
            return;
        }

        string chosen = _graph.Node("Gather", "", _parts.Hidden ? "logits" : "positions.chosen", [flat, "logits_positions"], Int("axis", 0)); // [P, D]
        if (_parts.Hidden)
            return;
        if (_parts.Verifier is { } verifier)
            Dense("verifier", chosen, verifier.W, [verifier.Bias], "logits");                                                          // [P, 1]
        else
            Product(TensorNames.Head, chosen, "logits", null);                                                                         // [P, V]
    }

    /// <summary>
    /// The running average of chunks' means is linear in the hidden states, so the caller states each token's weight and the decayed
    /// average so far, and the graph knows nothing of chunks.
    /// </summary>
    private void Switch(SwitcherHead head, string flat)
    {
        string part = _graph.Node("MatMul", "", "switcher.part", ["switcher_weights", flat]);                                             // [1, D]
        string pooled = _graph.Node("Add", "", "switcher_pooled", [part, "switcher_state"]);                                              // [1, D]
        string hidden = Dense("switcher.hidden", pooled, head.W1, head.B1, "switcher.hidden");                                            // [1, h]
        string active = _graph.Node("Relu", "", "switcher.active", [hidden]);
        Dense("switcher.output", active, head.W2, head.B2, "switcher_logits");                                                            // [1, M]
    }

    /// <summary>x W^T + b of a small head whose weights lie in the graph file.</summary>
    private string Dense(string name, string input, float[] weight, float[] bias, string output) => _graph.Node("Gemm", "", output,
        [
            input,
            _graph.Constant(name + ".weight", weight, bias.Length, weight.Length / bias.Length),
            _graph.Constant(name + ".bias", bias, (long)bias.Length),
        ],
        Int("transB", 1));

    private void DeclareInputs()
    {
        if (_parts.Genai)
        {
            DeclareGenai();
        }
        else
        {
            _graph.Input("input_ids", DataType.Int64, "B", "S");
            _graph.Input("seqlens_k", DataType.Int32, "B");
            _graph.Input("total_sequence_length", DataType.Int32, 1);
        }

        if (_parts.Switcher is { } switcher)
        {
            _graph.Input("switcher_weights", DataType.Float, 1, "B*S");
            _graph.Input("switcher_state", DataType.Float, 1, _config.HiddenSize);
            _graph.Output("switcher_pooled", DataType.Float, 1, _config.HiddenSize);
            _graph.Output("switcher_logits", DataType.Float, 1, switcher.B2.Length);
        }
        else if (!_parts.Encoder && !_parts.Genai)
        {
            _graph.Input("logits_positions", DataType.Int64, "P");
            _graph.Output("logits", DataType.Float, "P", _parts.Outputs(_config));
        }

        (DataType type, int width) = Format switch
        {
            CacheFormat.Int8 => (DataType.Int8, _config.HeadSize),
            CacheFormat.Int4 => (DataType.Uint8, _config.HeadSize / 2),
            _ => (DataType.Float, _config.HeadSize),
        };
        if (Encodes)
            _graph.Input("past_length", DataType.Int64, 1);
        for (int layer = 0; layer < _config.Layers; layer++)
        {
            foreach (string part in (string[])["key", "value"])
            {
                _graph.Input($"past_key_values.{layer}.{part}", type, "B", _config.KeyValueHeads, "MAX", width);
                if (Encodes)
                    _graph.Output($"present.{layer}.{part}", type, "B", "S", _config.KeyValueHeads * width);
                else
                    _graph.Output($"present.{layer}.{part}", type, "B", _config.KeyValueHeads, "MAX", width);
            }
        }
    }

    private string Embed(string ids)
    {
        QuantizedWeight weight = _model.Weight(TensorNames.Embedding);
        if (weight.Scales is null)
            return _graph.Node("Gather", "", "model.embed_tokens", [Stored(weight.Data), ids], Int("axis", 0));
        return _graph.Node("GatherBlockQuantized", Contrib, "model.embed_tokens", [Stored(weight.Data), ids, Stored(weight.Scales)],
            Int("gather_axis", 0), Int("quantize_axis", 1), Int("block_size", _model.Options.Block), Int("bits", weight.Format.Bits()));
    }

    /// <summary>Returns the normalised sum and the sum itself (empty when nobody needs it).</summary>
    private (string Hidden, string Residual) Norm(string residual, string change, string name, bool needsSum)
    {
        string sum = needsSum ? name + ".sum" : "";
        string[] outputs = needsSum ? [name, "", "", sum] : [name];
        _graph.Node("SkipSimplifiedLayerNormalization", Contrib, name, [residual, change, Stored(name + ".weight")], outputs, Epsilon());
        return (name, sum);
    }

    private string Attention(int layer, string hidden)
    {
        string name = Layer(layer, "self_attn.attention");
        if (Encodes)
            return Linear(layer, "self_attn.o_proj", EncodedAttention(layer, name, hidden), null);
        string qkv = Projected(layer, hidden);
        List<string> inputs =
        [
            qkv, "", "", $"past_key_values.{layer}.key", $"past_key_values.{layer}.value", "seqlens_k", "total_sequence_length",
            Stored(TensorNames.RotaryCos), Stored(TensorNames.RotarySin),
        ];
        List<AttributeProto> attributes = [.. Heads(), Int("do_rotary", 1), Int("rotary_interleaved", 0)];
        if (Format != CacheFormat.None)
        {
            // Keys are rounded behind the rotation, as they are stored.
            inputs.AddRange(["", "", "", Scales(layer, "key"), Scales(layer, "value")]);
            attributes.AddRange([Text("k_quant_type", "PER_CHANNEL"), Text("v_quant_type", "PER_CHANNEL"), Int("kv_cache_bit_width", Format == CacheFormat.Int4 ? 4 : 8)]);
        }

        _graph.Node("GroupQueryAttention", Contrib, name, inputs, [name, $"present.{layer}.key", $"present.{layer}.value"], [.. attributes]);
        return Linear(layer, "self_attn.o_proj", name, null);
    }

    /// <summary>Queries, keys and values, [B, S, (H + 2 KVH) d].</summary>
    private string Projected(int layer, string hidden) => Linear(layer, "self_attn.qkv_proj", hidden, Layer(layer, "self_attn.qkv_proj.bias"));

    private AttributeProto[] Heads() => [Int("num_heads", _config.Heads), Int("kv_num_heads", _config.KeyValueHeads)];

    /// <summary>Scales of a layer's keys or values, [KVH * d].</summary>
    private string Scales(int layer, string part)
    {
        LayerScales scales = _model.Cache!.Layers[layer];
        float[] values = part == "key" ? scales.Keys : scales.Values;
        return _graph.Constant(Layer(layer, $"self_attn.{part}_scales"), values, (long)values.Length);
    }

    private string FeedForward(int layer, string hidden)
    {
        string both = Linear(layer, "mlp.gate_up_proj", hidden, null);                                           // [B, S, 2 F]
        string gate = Layer(layer, "mlp.gate");
        string up = Layer(layer, "mlp.up");
        _graph.Node("Split", "", Layer(layer, "mlp.split"), [both], [gate, up], Int("axis", -1), Int("num_outputs", 2));
        string silu = _graph.Node("QuickGelu", Contrib, Layer(layer, "mlp.silu"), [gate], Float("alpha", 1));      // x * sigmoid(x)
        string product = _graph.Node("Mul", "", Layer(layer, "mlp.product"), [silu, up]);                         // [B, S, F]
        return Linear(layer, "mlp.down_proj", product, null);
    }

    /// <summary>W x (+ bias) (+ B (A x) where the adapter has this linear).</summary>
    private string Linear(int layer, string module, string input, string? bias)
    {
        string name = Layer(layer, module);
        string stored = name + ".weight";
        bias = bias is null ? null : Stored(bias);
        if (_parts.Adapter?.Find(name) is { } lora)
        {
            MatrixTensor weight = Matrix(stored);
            if (weight.Scales is not null)
                return AdaptedLinear.Add(_graph, name + ".adapted", Quantized(weight, input, name, bias), lora, Level(stored, WeightFormat.Int8));
            string changed = Product(lora.B[0], Product(lora.A, input, name + ".lora_A"), name + ".lora_B");
            return _graph.Node("Add", "", name + ".adapted", [Product(weight, input, name, bias), changed]);
        }

        string main = Product(stored, input, name, bias);
        if (_parts.LoraInputs?.Contains(name) != true)
            return main;
        QuantizedWeight part = _model.Weights.First(w => w.Data == stored);
        _graph.OptionalMatrix(LoraInputs.A(name), part.Columns, name + ".rank");
        _graph.OptionalMatrix(LoraInputs.B(name), name + ".rank", (int)_model.Tensor(part.Data).Dims[0]);
        string down = _graph.Node("MatMul", "", name + ".lora_A", [input, LoraInputs.A(name)]);                      // [B, S, R]
        string up = _graph.Node("MatMul", "", name + ".lora_B", [down, LoraInputs.B(name)]);                        // [B, S, out]
        return _graph.Node("Add", "", name + ".adapted", [main, up]);
    }

    private string Product(string stored, string input, string output, string? bias) => Product(Matrix(stored), input, output, bias);

    private MatrixTensor Matrix(string stored)
    {
        QuantizedWeight part = _model.Weights.First(w => w.Data == stored);
        BundleTensor data = _model.Tensor(stored);
        BundleTensor? scales = part.Scales is null ? null : _model.Tensor(part.Scales);
        return new MatrixTensor(data, scales, _weightsLocation, (int)data.Dims[0], part.Columns, part.Format, _model.Options.Block);
    }

    private string Product(MatrixTensor matrix, string input, string output, string? bias = null)
    {
        if (matrix.Scales is null)
        {
            string product = _graph.Node("FusedMatMul", Contrib, bias is null ? output : output + ".product", [input, _graph.External(matrix.Data, matrix.Location)], Int("transB", 1));
            return bias is null ? product : _graph.Node("Add", "", output, [product, bias]);
        }

        _graph.Add(Quantized(matrix, input, output, bias));
        return output;
    }

    private NodeProto Quantized(MatrixTensor matrix, string input, string output, string? bias)
    {
        string[] inputs = [input, .. _graph.External(matrix)];
        NodeProto node = Node("MatMulNBits", Contrib, bias is null ? inputs : [.. inputs, "", "", bias], [output],
            Int("K", matrix.Columns), Int("N", matrix.Rows), Int("bits", matrix.Format.Bits()), Int("block_size", matrix.Block),
            Int("accuracy_level", Level(matrix.Data.Name, matrix.Format)));
        node.Name = output;
        return node;
    }

    private int Level(string stored, WeightFormat format) =>
        _options.ExactProducts.Contains(stored) ? 1 : format == WeightFormat.Int8 ? _options.Int8AccuracyLevel : _options.Int4AccuracyLevel;

    private string Stored(string name) => _graph.External(_model.Tensor(name), _weightsLocation);

    private AttributeProto Epsilon() => Float("epsilon", _config.RmsNormEpsilon);

    private static string Layer(int layer, string module) => TensorNames.Layer(layer, module);
}
