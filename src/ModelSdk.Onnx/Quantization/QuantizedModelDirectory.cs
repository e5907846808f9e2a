using System.Text.Json.Serialization;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>weights.json.</summary>
internal sealed record QuantizedModelDirectory(
    int FormatVersion,
    TransformerConfig Architecture,
    [property: JsonConverter(typeof(WeightFormatConverter))] WeightFormat Weights,
    int Block,
    [property: JsonConverter(typeof(WeightFormatConverter))] WeightFormat Embeddings,
    double? BitsPerWeight,
    [property: JsonConverter(typeof(JsonStringEnumConverter<QuantizationQuality>))] QuantizationQuality Quality,
    IReadOnlyList<BundleTensor> Tensors,
    IReadOnlyList<QuantizedWeight> Parts);

[JsonSourceGenerationOptions(
    WriteIndented = true,
    NewLine = "\n",
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(QuantizedModelDirectory))]
internal sealed partial class QuantizedModelJson : JsonSerializerContext;
