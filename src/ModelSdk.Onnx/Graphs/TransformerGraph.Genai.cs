using ModelSdk.Manifest;
using static ModelSdk.Onnx.Graphs.OnnxGraph;
using DataType = ModelSdk.Onnx.Protobuf.TensorProto.Types.DataType;

namespace ModelSdk.Onnx.Graphs;

/// <content>
/// Inputs and outputs as onnxruntime-genai has them: lengths come as an attention mask, logits of every token go out. Keys and values are float32 whatever the bundle's
/// own cache is: genai derives their shape from the head size and knows no scales.
/// </content>
internal sealed partial class TransformerGraph
{
    private CacheFormat Format => _parts.Genai ? CacheFormat.None : _model.Cache?.Format ?? CacheFormat.None;

    private void DeclareGenai()
    {
        _graph.Input("input_ids", DataType.Int64, "B", "S");
        _graph.Input("attention_mask", DataType.Int64, "B", "T");
        _graph.Output("logits", DataType.Float, "B", "S", _config.VocabularySize);
        string tokens = _graph.Node("ReduceSum", "", "mask.tokens", ["attention_mask", _graph.Constant("mask.axis", 1)], Int("keepdims", 0));                    // [B]
        string last = _graph.Node("Sub", "", "mask.last", [tokens, _graph.Constant("mask.one", 1)]);
        _graph.Node("Cast", "", "seqlens_k", [last], Int("to", (int)DataType.Int32));
        string shape = _graph.Node("Shape", "", "mask.shape", ["attention_mask"], Int("start", 1));                                                              // [1]
        _graph.Node("Cast", "", "total_sequence_length", [shape], Int("to", (int)DataType.Int32));
    }
}
