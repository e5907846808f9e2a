using System.Text.Json;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Synthetic;

/// <summary>
/// Writes a base of random weights in Hugging Face layout: the ground for figures of speed and memory that need a model's shape and not its
/// knowledge. The same shape and seed give the same bytes, whatever the number of threads.
/// </summary>
public static class SyntheticCheckpoint
{
    /// <summary>Most bytes of one file of weights; larger models are sharded, as the originals are (3B in 2 files, 7B in 4).</summary>
    private const long ShardBytes = 4_000_000_000;

    /// <summary>Bytes of the weights of a shape.</summary>
    public static long WeightBytes(SyntheticShape shape) => Qwen2Tensors.Of(shape.Config).Sum(Bytes);

    /// <summary>Writes config.json, the weights in BF16 with their index where they are sharded, tokenizer.json, tokenizer_config.json and generation_config.json.</summary>
    /// <param name="shape">What to write.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <param name="folder">Folder that does not exist yet; it appears when it is complete.</param>
    /// <param name="progress">Receives the share of the weights that is written, 0 to 1, by several threads at once.</param>
    /// <param name="cancellationToken">Checked about each megabyte.</param>
    /// <exception cref="IOException">The folder exists or cannot be written, or the volume has no room; nothing is left behind.</exception>
    public static void Write(SyntheticShape shape, int seed, string folder, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        string temporary = $"{target}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(temporary);
        try
        {
            CheckpointWriter.WriteConfig(Path.Combine(temporary, "config.json"), shape.Config, TensorDType.BF16);
            SyntheticTokenizer.Write(temporary, shape);
            WriteWeights(shape, seed, temporary, ShardBytes, progress, cancellationToken);
            Directory.Move(temporary, target);
        }
        catch
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }

    /// <summary>Writes the weights alone, in files of at most <paramref name="shardBytes"/> bytes of tensors.</summary>
    internal static void WriteWeights(SyntheticShape shape, int seed, string folder, long shardBytes, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var weights = new SyntheticWeights(shape.Config, seed);
        List<List<(string Name, long[] Shape)>> shards = Shards([.. Qwen2Tensors.Of(shape.Config)], shardBytes);
        string[] files = shards.Count == 1 ? [Checkpoint.SingleFile] : [.. shards.Select((_, i) => $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors")];
        double total = WeightBytes(shape);
        long written = 0;
        for (int i = 0; i < shards.Count; i++)
            SafetensorsWriter.WriteBFloat16(Path.Combine(folder, files[i]), shards[i], weights.Fill, bytes => progress?.Report(Interlocked.Add(ref written, bytes) / total), cancellationToken);
        if (shards.Count > 1)
            WriteIndex(Path.Combine(folder, Checkpoint.IndexFile), shards, files);
    }

    /// <summary>Fills one file after the other, in the order of execution.</summary>
    private static List<List<(string Name, long[] Shape)>> Shards(IReadOnlyList<(string Name, long[] Shape)> tensors, long most)
    {
        List<List<(string, long[])>> shards = [[]];
        long bytes = 0;
        foreach ((string Name, long[] Shape) tensor in tensors)
        {
            if (bytes + Bytes(tensor) > most && shards[^1].Count > 0)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(tensor);
            bytes += Bytes(tensor);
        }

        return shards;
    }

    private static void WriteIndex(string path, List<List<(string Name, long[] Shape)>> shards, string[] files)
    {
        using FileStream stream = File.Create(path);
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        json.WriteStartObject();
        json.WriteStartObject("metadata");
        json.WriteNumber("total_size", shards.Sum(shard => shard.Sum(Bytes)));
        json.WriteEndObject();
        json.WriteStartObject("weight_map");
        foreach ((string name, int shard) in shards.SelectMany((shard, i) => shard.Select(t => (t.Name, i))).OrderBy(t => t.Name, StringComparer.Ordinal))
            json.WriteString(name, files[shard]);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static long Bytes((string Name, long[] Shape) tensor) => tensor.Shape.Aggregate((long)sizeof(ushort), (product, size) => product * size);
}
