using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Writes safetensors files: the same tensors give the same bytes, and a file is either whole or not there.</summary>
public static class SafetensorsWriter
{
    private const int ChunkElements = 1 << 16;

    /// <summary>Writes a file, replacing one that is there.</summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="tensors">The tensors, in any order: they are laid out by element size, then by name.</param>
    /// <param name="metadata">Texts for the header; default {"format": "pt"}, without which Hugging Face transformers refuses the file.</param>
    /// <exception cref="ArgumentException">A name occurs twice, a shape does not fit its values, or a type cannot be written.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void Write(string path, IEnumerable<TensorData> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        TensorData[] ordered = [.. tensors.OrderBy(t => t.DType == TensorDType.F32 ? 0 : 1).ThenBy(t => t.Name, StringComparer.Ordinal)];
        byte[] header = Header(ordered, metadata ?? new Dictionary<string, string> { ["format"] = "pt" });

        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                stream.Write(header);
                foreach (TensorData tensor in ordered)
                    WriteValues(stream, tensor);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static byte[] Header(TensorData[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write(stackalloc byte[SafetensorsHeader.PrefixBytes]); // the header's length, known at the end
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsHeader.MetadataKey);
                foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }

            WriteDirectory(json, tensors);
            json.WriteEndObject();
        }

        int padding = (8 - (buffer.WrittenCount % 8)) % 8;
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);

        byte[] header = buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - SafetensorsHeader.PrefixBytes);
        return header;
    }

    private static void WriteDirectory(Utf8JsonWriter json, TensorData[] tensors)
    {
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataKey };
        long offset = 0;
        foreach (TensorData tensor in tensors)
        {
            if (!names.Add(tensor.Name))
                throw new ArgumentException($"Tensor name \"{tensor.Name}\" is used twice or reserved.", nameof(tensors));
            long count = tensor.Shape.Aggregate(1L, (product, size) => checked(product * size));
            if (count != tensor.Values.Length || tensor.Shape.Any(size => size < 0))
                throw new ArgumentException($"Tensor \"{tensor.Name}\" has shape [{string.Join(", ", tensor.Shape)}] but {tensor.Values.Length} values.", nameof(tensors));

            long end = offset + (count * ElementBytes(tensor));
            json.WriteStartObject(tensor.Name);
            json.WriteString("dtype", tensor.DType.ToString());
            json.WriteStartArray("shape");
            foreach (long size in tensor.Shape)
                json.WriteNumberValue(size);
            json.WriteEndArray();
            json.WriteStartArray("data_offsets");
            json.WriteNumberValue(offset);
            json.WriteNumberValue(end);
            json.WriteEndArray();
            json.WriteEndObject();
            offset = end;
        }
    }

    private static int ElementBytes(TensorData tensor) => tensor.DType switch
    {
        TensorDType.F32 => 4,
        TensorDType.F16 or TensorDType.BF16 => 2,
        _ => throw new ArgumentException($"Tensor \"{tensor.Name}\" has type {tensor.DType}; F32, F16 and BF16 can be written."),
    };

    private static void WriteValues(FileStream stream, TensorData tensor)
    {
        ReadOnlySpan<float> values = tensor.Values.Span;
        if (tensor.DType == TensorDType.F32)
        {
            for (int at = 0; at < values.Length; at += ChunkElements)
                stream.Write(MemoryMarshal.AsBytes(values.Slice(at, Math.Min(ChunkElements, values.Length - at))));
            return;
        }

        ushort[] chunk = ArrayPool<ushort>.Shared.Rent(ChunkElements);
        for (int at = 0; at < values.Length; at += ChunkElements)
        {
            ReadOnlySpan<float> part = values.Slice(at, Math.Min(ChunkElements, values.Length - at));
            if (tensor.DType == TensorDType.BF16)
                FloatConversion.NarrowBFloat16(part, chunk);
            else
                FloatConversion.NarrowHalf(part, chunk);
            stream.Write(MemoryMarshal.AsBytes(chunk.AsSpan(0, part.Length)));
        }

        ArrayPool<ushort>.Shared.Return(chunk);
    }
}
