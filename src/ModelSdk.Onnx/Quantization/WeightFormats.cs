using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Texts and sizes of <see cref="WeightFormat"/>.</summary>
public static class WeightFormats
{
    /// <summary>"none", "int2", "int4" or "int8", as in the manifest and in model.json.</summary>
    public static string ToManifestText(this WeightFormat format) => format switch
    {
        WeightFormat.None => "none",
        WeightFormat.Int2 => "int2",
        WeightFormat.Int4 => "int4",
        WeightFormat.Int8 => "int8",
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, null),
    };

    /// <summary>Bits of one weight: 2, 4, 8 or 32.</summary>
    public static int Bits(this WeightFormat format) => format switch
    {
        WeightFormat.None => 32,
        WeightFormat.Int2 => 2,
        WeightFormat.Int4 => 4,
        WeightFormat.Int8 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, null),
    };

    /// <summary>Reads what <see cref="ToManifestText"/> writes.</summary>
    /// <exception cref="ExportException">MDL4003: no such format.</exception>
    public static WeightFormat Parse(string text) => text switch
    {
        "none" => WeightFormat.None,
        "int2" => WeightFormat.Int2,
        "int4" => WeightFormat.Int4,
        "int8" => WeightFormat.Int8,
        _ => throw new ExportException(DiagnosticCodes.QuantizationSettingInvalid, $"\"{text}\" is no weight format; there are \"int2\", \"int4\", \"int8\" and \"none\"."),
    };
}
