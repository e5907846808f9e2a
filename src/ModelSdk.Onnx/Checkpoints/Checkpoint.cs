using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>A base model in Hugging Face layout: config.json and safetensors weights, single or sharded. Reading is thread-safe.</summary>
public sealed class Checkpoint : IDisposable
{
    /// <summary>File name of unsharded weights.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>File name of the index of sharded weights.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsFile> _owners = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorInfo> _tensors = new(StringComparer.Ordinal);

    private Checkpoint(string folder, TransformerConfig config)
    {
        Folder = folder;
        Config = config;
    }

    /// <summary>The model's folder.</summary>
    public string Folder { get; }

    /// <summary>Shape of the model.</summary>
    public TransformerConfig Config { get; }

    /// <summary>Tensors by Hugging Face name, over all shards.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <summary>The weight files, each once.</summary>
    public IReadOnlyList<string> Files => [.. _files.Select(f => f.Path)];

    /// <summary>Opens a folder and checks that every tensor the config implies is there with the right shape and a readable type.</summary>
    /// <param name="folder">Folder with config.json and model.safetensors, or model.safetensors.index.json and its shards. The single file wins where both exist, as in Hugging Face transformers.</param>
    /// <exception cref="ModelFormatException">A file is missing or damaged, or weights and config contradict each other.</exception>
    public static Checkpoint Open(string folder)
    {
        var checkpoint = new Checkpoint(folder, TransformerConfig.Load(Path.Combine(folder, "config.json")));
        try
        {
            string index = Path.Combine(folder, IndexFile);
            if (!File.Exists(Path.Combine(folder, SingleFile)) && File.Exists(index))
                checkpoint.OpenShards(index);
            else
                checkpoint.OpenSingle(Path.Combine(folder, SingleFile));
            checkpoint.Check();
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Reads a tensor as singles, row-major. "lm_head.weight" of a tied model is the embedding.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or it holds no floating point numbers.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was closed.</exception>
    public float[] Read(string name) => Owner(ref name).ReadFloats(name);

    /// <summary>Reads a run of a tensor's elements as singles, from element <paramref name="start"/> of the flattened tensor.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or it holds no floating point numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The run is not inside the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was closed.</exception>
    public void Read(string name, Span<float> target, long start = 0) => Owner(ref name).ReadFloats(name, target, start);

    /// <summary>As <see cref="Read(string, Span{float}, long)"/>, for weights that something is computed with.</summary>
    /// <exception cref="ExportException">MDL4002: a weight is NaN or infinite; names it and its file.</exception>
    /// <exception cref="ModelFormatException">There is no such tensor, or it holds no floating point numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The run is not inside the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was closed.</exception>
    public void ReadFinite(string name, Span<float> target, long start = 0)
    {
        SafetensorsFile file = Owner(ref name);
        file.ReadFloats(name, target, start);
        int bad = target.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
        if (bad < 0)
            return;
        long columns = _tensors[name].Shape is [_, long width] ? width : 1;
        throw BlockQuantizer.NotFinite($"{name} in {Path.GetFileName(file.Path)}", target[bad], (start + bad) / columns, (start + bad) % columns);
    }

    /// <summary>Closes the weight files.</summary>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files)
            file.Dispose();
    }

    private SafetensorsFile Owner(ref string name)
    {
        if (name == Qwen2Tensors.Head && Config.TiedEmbeddings)
            name = Qwen2Tensors.Embedding;
        return _owners.GetValueOrDefault(name)
            ?? throw new ModelFormatException(DiagnosticCodes.TensorMissing, $"There is no tensor \"{name}\".", Folder);
    }

    private void OpenSingle(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (TensorInfo tensor in file.Tensors.Values)
            Add(tensor, file);
    }

    private void OpenShards(string index)
    {
        foreach (IGrouping<string, string> shard in ShardIndex.Read(index).GroupBy(entry => entry.Value, entry => entry.Key, StringComparer.Ordinal))
        {
            SafetensorsFile file = SafetensorsFile.Open(Path.Combine(Folder, shard.Key));
            _files.Add(file);
            foreach (string name in shard)
            {
                Add(file.Tensors.GetValueOrDefault(name)
                    ?? throw new ModelFormatException(DiagnosticCodes.ShardIndexInvalid, $"The index places tensor \"{name}\" in \"{shard.Key}\", which does not hold it.", index), file);
            }
        }
    }

    private void Add(TensorInfo tensor, SafetensorsFile file)
    {
        _tensors.Add(tensor.Name, tensor);
        _owners.Add(tensor.Name, file);
    }

    private void Check()
    {
        var unexpected = new HashSet<string>(_tensors.Keys.Where(Matters), StringComparer.Ordinal);
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(Config))
        {
            if (!_tensors.TryGetValue(name, out TensorInfo? tensor))
                throw new ModelFormatException(DiagnosticCodes.TensorMissing, $"Tensor \"{name}\", which config.json implies, is missing from the weights.", Where());
            if (!tensor.Shape.AsSpan().SequenceEqual(shape))
                throw new ModelFormatException(DiagnosticCodes.TensorShapeMismatch, $"Tensor \"{name}\" has shape [{string.Join(", ", tensor.Shape)}]; config.json implies [{string.Join(", ", shape)}].", _owners[name].Path);
            if (tensor.DType == TensorDType.Other)
                throw new ModelFormatException(DiagnosticCodes.TensorTypeUnsupported, $"Tensor \"{name}\" has type {tensor.TypeName}; weights are read from BF16, F16 and F32.", _owners[name].Path);
            unexpected.Remove(name);
        }

        if (unexpected.Count > 0)
        {
            string first = unexpected.Min(StringComparer.Ordinal)!;
            throw new ModelFormatException(DiagnosticCodes.TensorUnexpected, $"The weights hold tensor \"{first}\"{(unexpected.Count > 1 ? $" and {unexpected.Count - 1} more" : "")} that a {Config.Type} model of this config.json does not use; the result would be wrong.", _owners[first].Path);
        }
    }

    /// <summary>Old checkpoints hold the rotary frequencies, and tied ones a copy of the embedding; both are ignored, as in Hugging Face transformers.</summary>
    private bool Matters(string name) =>
        !name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
        && !(name == Qwen2Tensors.Head && Config.TiedEmbeddings);

    private string Where() => _files.Count == 1 ? _files[0].Path : Path.Combine(Folder, IndexFile);
}
