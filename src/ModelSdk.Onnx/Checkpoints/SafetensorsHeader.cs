using System.Buffers.Binary;
using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Parses and checks the header of a safetensors file: 8 bytes of length, then a JSON object, then the tensors without holes.</summary>
/// <remarks>Rules of the format's reference implementation, plus natural alignment of every tensor.</remarks>
internal static class SafetensorsHeader
{
    /// <summary>The format's limit of the header's length, in bytes.</summary>
    public const long MaxBytes = 100_000_000;

    /// <summary>Bytes before the header.</summary>
    public const int PrefixBytes = 8;

    /// <summary>Key of the map of texts that a header may hold beside the tensors.</summary>
    public const string MetadataKey = "__metadata__";

    /// <summary>Length of the header, checked against the file's length.</summary>
    public static int Length(ReadOnlySpan<byte> prefix, long fileBytes, string path)
    {
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxBytes)
            throw Damaged(path, $"its header claims {length} bytes, the format allows {MaxBytes}. It may not be a safetensors file.");
        if ((long)length + PrefixBytes > fileBytes)
            throw Damaged(path, $"its header claims {length} bytes, but the file has only {fileBytes}. Download it again.");
        return (int)length;
    }

    /// <summary>Parses the header.</summary>
    /// <param name="json">The header's bytes.</param>
    /// <param name="fileBytes">Length of the whole file.</param>
    /// <param name="path">The file, for errors.</param>
    /// <returns>Tensors in the order of their offsets, and the texts beside them.</returns>
    public static (List<TensorInfo> Tensors, Dictionary<string, string> Metadata) Parse(byte[] json, long fileBytes, string path)
    {
        if (json.Length == 0 || json[0] != (byte)'{')
            throw Damaged(path, "its header does not begin with a JSON object.");
        try
        {
            using JsonDocument document = JsonFile.Parse(json, path);
            return Parse(document.RootElement, PrefixBytes + json.Length, fileBytes, path);
        }
        catch (ModelFormatException e) when (e.Code == DiagnosticCodes.ModelJsonInvalid)
        {
            throw Damaged(path, $"its header cannot be read. {e.Message}", e);
        }
    }

    private static (List<TensorInfo> Tensors, Dictionary<string, string> Metadata) Parse(JsonElement root, long dataStart, long fileBytes, string path)
    {
        var header = new JsonKeys(root, path);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        var tensors = new List<TensorInfo>();
        foreach (JsonProperty property in root.EnumerateObject())
        {
            string name = header.Name(property);
            if (name == MetadataKey)
                ReadMetadata(header, metadata);
            else
                tensors.Add(Tensor(name, property.Value, dataStart, fileBytes, path));
        }

        tensors.Sort((a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.Bytes.CompareTo(b.Bytes));
        CheckLayout(tensors, dataStart, fileBytes, path);
        return (tensors, metadata);
    }

    private static TensorInfo Tensor(string name, JsonElement json, long dataStart, long fileBytes, string path)
    {
        if (json.ValueKind != JsonValueKind.Object)
            throw Damaged(path, $"tensor \"{name}\" is described by {JsonFile.Describe(json.ValueKind)} instead of an object.");
        var keys = new JsonKeys(json, path, $"{name}.");
        string typeName = keys.Text("dtype") ?? throw keys.Missing("dtype", "the element type");
        (TensorDType type, int size) = typeName switch
        {
            "F32" => (TensorDType.F32, 4),
            "F16" => (TensorDType.F16, 2),
            "BF16" => (TensorDType.BF16, 2),
            "F64" or "I64" or "U64" => (TensorDType.Other, 8),
            "I32" or "U32" => (TensorDType.Other, 4),
            "I16" or "U16" => (TensorDType.Other, 2),
            "BOOL" or "I8" or "U8" or "F8_E4M3" or "F8_E5M2" or "F8_E8M0" => (TensorDType.Other, 1),
            _ => throw new ModelFormatException(DiagnosticCodes.TensorTypeUnsupported, $"Tensor \"{name}\" has the unknown type \"{typeName}\"; weights are read from BF16, F16 and F32.", path),
        };

        long[] shape = Numbers(keys, "shape");
        long[] range = Numbers(keys, "data_offsets");
        if (range.Length != 2 || range[0] > range[1])
            throw Damaged(path, $"tensor \"{name}\" has data_offsets that are no range.");
        if (range[1] > fileBytes - dataStart)
            throw Damaged(path, $"tensor \"{name}\" ends at byte {range[1]} of the data, but the file holds {fileBytes - dataStart}. It is truncated; download it again.");
        if (ByteCount(shape, size) != range[1] - range[0])
            throw Damaged(path, $"tensor \"{name}\" of type {typeName} and shape [{string.Join(", ", shape)}] does not fill its {range[1] - range[0]} bytes.");
        if ((dataStart + range[0]) % size != 0)
            throw Damaged(path, $"tensor \"{name}\" begins at byte {dataStart + range[0]}, which is not aligned to its elements of {size} bytes. Save it again with a current safetensors library.");
        return new TensorInfo(name, type, typeName, shape, dataStart + range[0], range[1] - range[0]);
    }

    /// <summary>Tensors follow one another without overlap or hole, and fill the file.</summary>
    private static void CheckLayout(List<TensorInfo> tensors, long dataStart, long fileBytes, string path)
    {
        long end = dataStart;
        string previous = "the header";
        foreach (TensorInfo tensor in tensors)
        {
            if (tensor.Offset < end)
                throw Damaged(path, $"tensor \"{tensor.Name}\" overlaps {previous}.");
            if (tensor.Offset > end)
                throw Damaged(path, $"{tensor.Offset - end} bytes between {previous} and tensor \"{tensor.Name}\" belong to no tensor.");
            end = tensor.Offset + tensor.Bytes;
            previous = $"tensor \"{tensor.Name}\"";
        }

        if (end != fileBytes)
            throw Damaged(path, $"{fileBytes - end} bytes after {previous} belong to no tensor.");
    }

    /// <summary>Bytes of a tensor, or -1 where the product of its dimensions overflows.</summary>
    private static long ByteCount(long[] shape, int size)
    {
        if (Array.IndexOf(shape, 0) >= 0)
            return 0;
        long bytes = size;
        foreach (long dimension in shape)
        {
            if (bytes > long.MaxValue / dimension)
                return -1;
            bytes *= dimension;
        }

        return bytes;
    }

    private static long[] Numbers(JsonKeys keys, string key)
    {
        JsonElement array = keys.Array(key) ?? throw keys.Missing(key, "an array of whole numbers");
        var numbers = new long[array.GetArrayLength()];
        int i = 0;
        foreach (JsonElement element in array.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out long number) || number < 0)
                throw keys.Error(key, DiagnosticCodes.ModelJsonInvalid, "must hold whole numbers from 0.");
            numbers[i++] = number;
        }

        return numbers;
    }

    private static void ReadMetadata(JsonKeys root, Dictionary<string, string> metadata)
    {
        foreach (JsonProperty entry in root.Object(MetadataKey)?.Properties ?? default)
        {
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw root.Error(MetadataKey, DiagnosticCodes.ModelJsonInvalid, "must map texts to texts.");
            metadata[entry.Name] = entry.Value.GetString()!;
        }
    }

    private static ModelFormatException Damaged(string path, string problem, Exception? cause = null) =>
        new(DiagnosticCodes.SafetensorsDamaged, $"The safetensors file is damaged: {problem}", path, cause);
}
