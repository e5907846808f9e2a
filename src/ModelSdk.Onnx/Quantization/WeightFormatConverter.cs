using System.Text.Json;
using System.Text.Json.Serialization;
using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Writes a format as the manifest does: "none", "int2", "int4", "int8".</summary>
internal sealed class WeightFormatConverter : JsonConverter<WeightFormat>
{
    public override WeightFormat Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        => WeightFormats.Parse(reader.GetString() ?? "");

    public override void Write(Utf8JsonWriter writer, WeightFormat value, JsonSerializerOptions options)
        => writer.WriteStringValue(value.ToManifestText());
}
