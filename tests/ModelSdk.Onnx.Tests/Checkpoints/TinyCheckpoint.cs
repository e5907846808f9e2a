using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Checkpoints;

/// <summary>A small model in a temporary folder.</summary>
internal sealed class TinyCheckpoint : IDisposable
{
    public static readonly TransformerConfig Config = new("qwen2", 40, 16, 24, 2, 4, 2, 4, 64, 10000, 1e-6, TiedEmbeddings: true);

    public string Folder { get; } = Directory.CreateTempSubdirectory("modelsdk-test-").FullName;

    public string Single => Path.Combine(Folder, Checkpoint.SingleFile);

    public string Index => Path.Combine(Folder, Checkpoint.IndexFile);

    /// <summary>Values that BF16 and F16 hold exactly, different in each tensor.</summary>
    public static float[] Values(string name, long[] shape)
    {
        int count = (int)shape.Aggregate(1L, (product, size) => product * size);
        int seed = name.Sum(c => c);
        return [.. Enumerable.Range(0, count).Select(i => (((i * 7) + seed) % 127 - 63) / 64f)];
    }

    public static float[] Values(TransformerConfig config, string name) =>
        Values(name, Qwen2Tensors.Of(config).Single(t => t.Name == name).Shape);

    public TinyCheckpoint Write(TransformerConfig? config = null, TensorDType type = TensorDType.BF16)
    {
        config ??= Config;
        CheckpointWriter.Write(Folder, config, name => Values(config, name), type);
        return this;
    }

    /// <summary>Replaces the single file by shards of some tensors each.</summary>
    public TinyCheckpoint Shard(int shards)
    {
        TensorData[] tensors = [.. Qwen2Tensors.Of(Config).Select(t => new TensorData(t.Name, TensorDType.BF16, t.Shape, Values(t.Name, t.Shape)))];
        var lines = new List<string>();
        for (int i = 0; i < shards; i++)
        {
            string file = $"model-{i + 1:D5}-of-{shards:D5}.safetensors";
            TensorData[] part = [.. tensors.Where((_, at) => at % shards == i)];
            SafetensorsWriter.Write(Path.Combine(Folder, file), part);
            lines.AddRange(part.Select(t => $"\"{t.Name}\": \"{file}\""));
        }

        File.Delete(Single);
        File.WriteAllText(Index, $"{{\"metadata\": {{\"total_size\": 1}}, \"weight_map\": {{\n{string.Join(",\n", lines)}\n}}}}");
        return this;
    }

    /// <summary>Writes the single file with tensors changed.</summary>
    public TinyCheckpoint Rewrite(Func<IEnumerable<TensorData>, IEnumerable<TensorData>> change)
    {
        SafetensorsWriter.Write(Single, change(Qwen2Tensors.Of(Config).Select(t => new TensorData(t.Name, TensorDType.F32, t.Shape, Values(t.Name, t.Shape)))));
        return this;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
