using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using static ModelSdk.Onnx.Graphs.OnnxGraph;
using DataType = ModelSdk.Onnx.Protobuf.TensorProto.Types.DataType;

namespace ModelSdk.Onnx.Graphs;

/// <content>
/// Attention of graphs that encode prompts beside a quantized cache, for B = 1. The kernel that reads such a cache is made for one token: for many it takes five times as
/// long as the one in fp32. So a layer's past is brought to fp32, that kernel attends to it and to the new keys and values, and the new ones are an output, in
/// the cache's numbers. Attention sees them rounded, as it will later: how a prompt is cut into chunks changes nothing.
/// </content>
internal sealed partial class TransformerGraph
{
    /// <summary>Numbers that 4 bits hold are stored with this added.</summary>
    private const int Int4Offset = 8;

    private bool Encodes => _model.Cache is not null && (_parts.Encoder || _parts.Switcher is not null);

    private string EncodedAttention(int layer, string name, string hidden)
    {
        (string queries, string keys, string values) = EncodedHeads(layer, hidden);
        _graph.Node("GroupQueryAttention", Contrib, name,
            [Rotated(layer, "query", queries), keys, values, Past(layer, "key"), Past(layer, "value"), "seqlens_k", "total_sequence_length"],
            [name, name + ".keys", name + ".values"],
            Heads());
        return name;
    }

    /// <summary>A layer's queries [B, S, H d] as projected, and its keys (rotated) and values [B, S, KVH d] as the cache will hold them.</summary>
    private (string Queries, string Keys, string Values) EncodedHeads(int layer, string hidden)
    {
        string[] parts = [Layer(layer, "self_attn.query"), Layer(layer, "self_attn.key"), Layer(layer, "self_attn.value")];
        _graph.Node("Split", "", Layer(layer, "self_attn.split"),
            [Projected(layer, hidden), _graph.Constant("heads.split", _config.QuerySize, _config.KeyValueSize, _config.KeyValueSize)], parts, Int("axis", -1));
        return (parts[0], Rounded(layer, "key", Rotated(layer, "key", parts[1])), Rounded(layer, "value", parts[2]));
    }

    private string Rotated(int layer, string part, string heads) => _graph.Node("RotaryEmbedding", Contrib, Layer(layer, $"self_attn.{part}_rotated"),
        [heads, "past_length", Stored(TensorNames.RotaryCos), Stored(TensorNames.RotarySin)], Int("interleaved", 0));

    /// <summary>Rounds as the kernel that decodes does (times 1 / scale, half to even), gives the numbers as an output, and returns what they stand for.</summary>
    private string Rounded(int layer, string part, string values)
    {
        string name = Layer(layer, $"self_attn.{part}");
        LayerScales scales = _model.Cache!.Layers[layer];
        float[] inverse = [.. (part == "key" ? scales.Keys : scales.Values).Select(s => 1 / s)];
        string scaled = _graph.Node("Mul", "", name + ".scaled", [values, _graph.Constant(name + "_inverse_scales", inverse, (long)inverse.Length)]);
        string rounded = _graph.Node("Round", "", name + ".rounded", [scaled]);
        bool int4 = _model.Cache.Format == CacheFormat.Int4;
        string numbers = _graph.Node("Clip", "", name + ".numbers",
            [rounded, Number(int4 ? -Int4Offset : sbyte.MinValue), Number(int4 ? Int4Offset - 1 : sbyte.MaxValue)]);
        string output = $"present.{layer}.{part}";
        if (int4)
        {
            string positive = _graph.Node("Add", "", name + ".positive", [numbers, Number(Int4Offset)]);
            string pairs = _graph.Node("Reshape", "", name + ".pairs", [positive, _graph.Constant("heads.pairs", 0, 0, -1, 2)]);
            string bytes = _graph.Node("MatMul", "", name + ".bytes", [pairs, Column("heads.nibbles", 1, 16)]);                     // [B, S, KVH d/2, 1]
            string packed = _graph.Node("Reshape", "", name + ".packed", [bytes, _graph.Constant("heads.flat", 0, 0, -1)]);
            _graph.Node("Cast", "", output, [packed], Int("to", (int)DataType.Uint8));
        }
        else
        {
            _graph.Node("Cast", "", output, [numbers], Int("to", (int)DataType.Int8));
        }

        return _graph.Node("Mul", "", name + ".stored", [numbers, Scales(layer, part)]);
    }

    /// <summary>What the cache holds of a layer, [B, KVH, past_length, d].</summary>
    private string Past(int layer, string part)
    {
        string name = Layer(layer, $"self_attn.past_{part}");
        string held = _graph.Node("Slice", "", name + ".held",
            [$"past_key_values.{layer}.{part}", _graph.Constant("heads.first", 0), "past_length", _graph.Constant("heads.axis", 2)]);
        string numbers;
        if (_model.Cache!.Format == CacheFormat.Int4)
        {
            string low = Unpacked(name + ".low", _graph.Node("BitwiseAnd", "", name + ".low_bits", [held, _graph.Byte("heads.low", 15)]));
            string high = Unpacked(name + ".high", _graph.Node("BitShift", "", name + ".high_bits", [held, _graph.Byte("heads.shift", 4)], Text("direction", "RIGHT")));
            string both = _graph.Node("Concat", "", name + ".both", [low, high], Int("axis", -1));                                    // [B, KVH, L, d/2, 2]
            string positive = _graph.Node("Reshape", "", name + ".positive", [both, _graph.Constant("heads.whole", 0, 0, 0, _config.HeadSize)]);
            numbers = _graph.Node("Sub", "", name + ".numbers", [positive, Number(Int4Offset)]);
        }
        else
        {
            numbers = _graph.Node("Cast", "", name + ".numbers", [held], Int("to", (int)DataType.Float));
        }

        string scales = _graph.Node("Reshape", "", name + ".scales", [Scales(layer, part), _graph.Constant("heads.scales", _config.KeyValueHeads, 1, _config.HeadSize)]);
        return _graph.Node("Mul", "", name, [numbers, scales]);

        string Unpacked(string unpacked, string nibbles) => _graph.Node("Unsqueeze", "", unpacked,
            [_graph.Node("Cast", "", unpacked + "_numbers", [nibbles], Int("to", (int)DataType.Float)), _graph.Constant("heads.last", -1)]);
    }

    private string Number(int value) => _graph.Constant($"number.{value}", [(float)value]);

    private string Column(string name, params ReadOnlySpan<float> values) => _graph.Constant(name, values, values.Length, 1);
}
