using System.Text.Json.Serialization;
using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Where one weight of the base lies among the stored tensors; q/k/v and gate/up are rows of one fused tensor.</summary>
/// <param name="Name">Hugging Face name, e.g. "model.layers.0.self_attn.q_proj.weight".</param>
/// <param name="Format">How it is stored; biases and norms are <see cref="WeightFormat.None"/>.</param>
/// <param name="Rows">Output features; for biases and norms their length.</param>
/// <param name="Columns">Input features; 1 for biases and norms.</param>
/// <param name="FirstRow">First row within the stored tensor.</param>
/// <param name="Data">Stored tensor of codes (uint8) or values (float32).</param>
/// <param name="Scales">Stored tensor of scales, [rows, columns/block]; null when not quantized.</param>
public sealed record QuantizedWeight(
    string Name,
    [property: JsonConverter(typeof(WeightFormatConverter))] WeightFormat Format,
    int Rows,
    int Columns,
    int FirstRow,
    string Data,
    string? Scales);
