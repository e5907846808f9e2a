using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Writes safetensors files: the same tensors give the same bytes, and a file is either whole or not there.</summary>
public static class SafetensorsWriter
{
    private const int ChunkElements = 1 << 16;

    /// <summary>Elements of one run of <see cref="WriteBFloat16"/>.</summary>
    private const int RunElements = 1 << 18;

    private static readonly Dictionary<string, string> s_metadata = new() { ["format"] = "pt" };

    /// <summary>Writes a file, replacing one that is there.</summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="tensors">The tensors, in any order: they are laid out by element size, then by name.</param>
    /// <param name="metadata">Texts for the header; default {"format": "pt"}, without which Hugging Face transformers refuses the file.</param>
    /// <exception cref="ArgumentException">A name occurs twice, a shape does not fit its values, or a type cannot be written.</exception>
    /// <exception cref="IOException">The file cannot be written; nothing is left behind.</exception>
    public static void Write(string path, IEnumerable<TensorData> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        TensorData[] ordered = [.. tensors.OrderBy(t => t.DType == TensorDType.F32 ? 0 : 1).ThenBy(t => t.Name, StringComparer.Ordinal)];
        foreach (TensorData tensor in ordered)
        {
            if (Count(tensor.Shape) != tensor.Values.Length)
                throw new ArgumentException($"Tensor \"{tensor.Name}\" has shape [{string.Join(", ", tensor.Shape)}] but {tensor.Values.Length} values.", nameof(tensors));
        }

        byte[] header = Header([.. ordered.Select(t => new Entry(t.Name, t.DType, t.Shape))], metadata ?? s_metadata);
        WhollyOrNot(path, temporary =>
        {
            using var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16);
            stream.Write(header);
            foreach (TensorData tensor in ordered)
                WriteValues(stream, tensor);
            stream.Flush(flushToDisk: true);
        });
    }

    /// <summary>
    /// Writes a file of BF16 tensors that need not fit into memory: runs of elements are asked for on all cores, about a megabyte at a time.
    /// The bytes do not depend on the number of cores.
    /// </summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="tensors">Names and shapes, in any order: they are laid out by name.</param>
    /// <param name="fill">Gives a run of a tensor's elements; called by several threads at once.</param>
    /// <param name="done">Receives the bytes of each run that was written, by several threads at once.</param>
    /// <param name="cancellationToken">Checked between runs.</param>
    /// <exception cref="ArgumentException">A name occurs twice, or a shape is negative.</exception>
    /// <exception cref="IOException">The file cannot be written, or the volume has no room for it; nothing is left behind.</exception>
    public static void WriteBFloat16(string path, IEnumerable<(string Name, long[] Shape)> tensors, TensorFill fill, Action<int>? done = null, CancellationToken cancellationToken = default)
    {
        Entry[] ordered = [.. tensors.Select(t => new Entry(t.Name, TensorDType.BF16, t.Shape)).OrderBy(t => t.Name, StringComparer.Ordinal)];
        byte[] header = Header(ordered, s_metadata);
        var runs = new List<(string Name, long Start, int Length, long Offset)>();
        long end = header.Length;
        foreach (Entry tensor in ordered)
        {
            long count = Count(tensor.Shape);
            for (long start = 0; start < count; start += RunElements)
                runs.Add((tensor.Name, start, (int)Math.Min(RunElements, count - start), end + (start * sizeof(ushort))));
            end += count * sizeof(ushort);
        }

        WhollyOrNot(path, temporary =>
        {
            using SafeFileHandle file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.None, preallocationSize: end);
            RandomAccess.Write(file, header, 0);
            Parallel.ForEach(
                Partitioner.Create(runs, EnumerablePartitionerOptions.NoBuffering),
                new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount },
                () => (Values: new float[RunElements], Bits: new ushort[RunElements]),
                (run, _, buffers) =>
                {
                    Span<float> values = buffers.Values.AsSpan(0, run.Length);
                    fill(run.Name, run.Start, values);
                    FloatConversion.NarrowBFloat16(values, buffers.Bits);
                    RandomAccess.Write(file, MemoryMarshal.AsBytes(buffers.Bits.AsSpan(0, run.Length)), run.Offset);
                    done?.Invoke(run.Length * sizeof(ushort));
                    return buffers;
                },
                _ => { });
            RandomAccess.FlushToDisk(file);
        });
    }

    private static void WhollyOrNot(string path, Action<string> write)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            write(temporary);
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static byte[] Header(Entry[] tensors, IReadOnlyDictionary<string, string> metadata)
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

    private static void WriteDirectory(Utf8JsonWriter json, Entry[] tensors)
    {
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataKey };
        long offset = 0;
        foreach (Entry tensor in tensors)
        {
            if (!names.Add(tensor.Name))
                throw new ArgumentException($"Tensor name \"{tensor.Name}\" is used twice or reserved.", nameof(tensors));
            if (tensor.Shape.Any(size => size < 0))
                throw new ArgumentException($"Tensor \"{tensor.Name}\" has shape [{string.Join(", ", tensor.Shape)}].", nameof(tensors));

            long end = offset + (Count(tensor.Shape) * ElementBytes(tensor));
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

    private static long Count(long[] shape) => shape.Aggregate(1L, (product, size) => checked(product * size));

    private static int ElementBytes(Entry tensor) => tensor.DType switch
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

    private sealed record Entry(string Name, TensorDType DType, long[] Shape);
}
