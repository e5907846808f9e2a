using System.Text.Json;
using System.Text.Json.Serialization;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>How every graph over a base stores keys and values: cache.json beside weights.bin.</summary>
/// <param name="Format">The format; not <see cref="CacheFormat.None"/>.</param>
/// <param name="Layers">Scales of each layer.</param>
public sealed record KeyValueScales([property: JsonConverter(typeof(JsonStringEnumConverter<CacheFormat>))] CacheFormat Format, IReadOnlyList<LayerScales> Layers)
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "cache.json";

    /// <summary>Writes the file.</summary>
    /// <param name="folder">The folder of the quantized base.</param>
    public void Write(string folder) => File.WriteAllBytes(Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, KeyValueScalesJson.Default.KeyValueScales));

    /// <summary>Reads the file; null where there is none: keys and values stay fp32.</summary>
    /// <param name="folder">The folder of the quantized base.</param>
    /// <param name="config">Shape of the transformer.</param>
    /// <exception cref="ExportException">MDL4004: the file is damaged, or of another model.</exception>
    public static KeyValueScales? Read(string folder, TransformerConfig config)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
            return null;
        try
        {
            KeyValueScales scales = JsonSerializer.Deserialize(File.ReadAllBytes(path), KeyValueScalesJson.Default.KeyValueScales) ?? throw new JsonException("The file is empty.");
            if (scales.Format == CacheFormat.None || scales.Layers.Count != config.Layers || scales.Layers.Any(l => Wrong(l.Keys) || Wrong(l.Values)))
                throw new JsonException($"It does not hold {config.KeyValueSize} positive scales of the keys and of the values of {config.Layers} layers.");
            return scales;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{path} cannot be read: {e.Message} Quantize the base again.", e);
        }

        bool Wrong(float[] values) => values.Length != config.KeyValueSize || values.Any(v => !(v > 0) || float.IsInfinity(v));
    }
}

/// <summary>Scales of one layer: what a stored number is multiplied by, a channel.</summary>
/// <param name="Keys">[KVH * d].</param>
/// <param name="Values">[KVH * d].</param>
public sealed record LayerScales(float[] Keys, float[] Values);

[JsonSourceGenerationOptions(
    WriteIndented = true,
    NewLine = "\n",
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(KeyValueScales))]
internal sealed partial class KeyValueScalesJson : JsonSerializerContext;
