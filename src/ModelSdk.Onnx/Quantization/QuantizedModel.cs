using System.Runtime.InteropServices;
using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// Output of the quantize stage: a folder with weights.bin, the one weight file of the bundle, and weights.json, its
/// directory. The same checkpoint and options give the same bytes.
/// </summary>
public sealed class QuantizedModel
{
    /// <summary>Name of the file of weights.</summary>
    public const string WeightsFileName = "weights.bin";

    /// <summary>Name of the directory file.</summary>
    public const string DirectoryFileName = "weights.json";

    /// <summary>Most positions that rotary tables are stored for, in tokens: the greatest context a manifest may ask for.</summary>
    public const int MaxPositions = 4096;

    private readonly QuantizedModelDirectory _directory;
    private readonly Dictionary<string, BundleTensor> _tensors;
    private readonly Dictionary<string, QuantizedWeight> _weights;

    /// <summary>The same weights as a model of the first layers alone, with its embedding, final norm and head.</summary>
    /// <param name="layers">How many, from 1.</param>
    internal QuantizedModel FirstLayers(int layers) => new(
        Folder,
        _directory with { Architecture = Architecture with { Layers = layers } },
        Cache is null ? null : Cache with { Layers = [.. Cache.Layers.Take(layers)] });

    private QuantizedModel(string folder, QuantizedModelDirectory directory, KeyValueScales? cache)
    {
        _directory = directory;
        Folder = folder;
        Architecture = directory.Architecture;
        Options = new QuantizationSettings
        {
            Weights = directory.Weights,
            Block = directory.Block,
            Embeddings = directory.Embeddings,
            BitsPerWeight = directory.BitsPerWeight,
            Quality = directory.Quality,
        };
        Transforms = TransformsFile.Read(folder, directory.Architecture.Layers);
        Tensors = directory.Tensors;
        _tensors = directory.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        Weights = directory.Parts;
        _weights = directory.Parts.ToDictionary(w => w.Name, StringComparer.Ordinal);
        Cache = cache;
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Full path of weights.bin.</summary>
    public string WeightsPath => Path.Combine(Folder, WeightsFileName);

    /// <summary>Shape of the transformer.</summary>
    public TransformerConfig Architecture { get; }

    /// <summary>How the weights are stored; for weights "none" the embeddings are "none" too. The calibration's file is not remembered.</summary>
    public QuantizationSettings Options { get; }

    /// <summary>How every graph over these weights stores keys and values (<see cref="KeyValueCalibration"/>); null = fp32.</summary>
    public KeyValueScales? Cache { get; }

    /// <summary>What was folded into the weights; an adapter of the original base must be moved by it.</summary>
    public ModelTransforms Transforms { get; }

    /// <summary>Bits of a weight of the linear layers on average, scales included.</summary>
    public double BitsPerWeight
    {
        get
        {
            QuantizedWeight[] linears = [.. _weights.Values.Where(w => w.Name.Contains("_proj.weight", StringComparison.Ordinal))];
            long bytes = linears.SelectMany(w => w.Scales is null ? (string[])[w.Data] : [w.Data, w.Scales]).Distinct().Sum(t => _tensors[t].Bytes);
            return bytes * 8.0 / linears.Sum(w => (double)w.Rows * w.Columns);
        }
    }

    /// <summary>Directory of weights.bin, as model.json holds it.</summary>
    public IReadOnlyList<BundleTensor> Tensors { get; }

    /// <summary>Every weight of the base and where it lies, in the order of execution.</summary>
    public IReadOnlyList<QuantizedWeight> Weights { get; }

    /// <summary>Rows of the rotary tables: the longest context that a graph over these weights can have, in tokens.</summary>
    public int Positions => (int)_tensors[TensorNames.RotaryCos].Dims[0];

    /// <summary>Quantizes a checkpoint tensor by tensor into a folder.</summary>
    /// <param name="checkpoint">The base in full precision.</param>
    /// <param name="options">Formats and block.</param>
    /// <param name="folder">Created when missing.</param>
    /// <param name="progress">Receives the share of weights done, 0 to 1.</param>
    /// <param name="cancellationToken">Checked between tensors.</param>
    /// <exception cref="ExportException">MDL4001 a width that does not divide by the block, MDL4002 NaN or infinity, MDL4003 unsupported setting; each names the tensor.</exception>
    public static QuantizedModel Quantize(Checkpoint checkpoint, QuantizationSettings options, string folder, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
        => Quantize(checkpoint, options, null, folder, progress, cancellationToken);

    /// <summary>Quantizes a checkpoint tensor by tensor into a folder, with what is known of its activations.</summary>
    /// <param name="checkpoint">The base in full precision.</param>
    /// <param name="options">Formats, block and quality.</param>
    /// <param name="calibration">What flows through the base; null for quality fast.</param>
    /// <param name="folder">Created when missing.</param>
    /// <param name="progress">Receives the share of weights done, 0 to 1.</param>
    /// <param name="cancellationToken">Checked between tensors.</param>
    /// <exception cref="ExportException">As for the other form; MDL4050: the bits per weight cannot be kept; MDL4051: activations are not finite.</exception>
    public static QuantizedModel Quantize(Checkpoint checkpoint, QuantizationSettings options, Calibration? calibration, string folder, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(folder);
        File.Delete(Path.Combine(folder, KeyValueScales.FileName));
        QuantizedModelDirectory directory;
        using (var writer = new QuantizedModelWriter(checkpoint, options, calibration, Path.Combine(folder, WeightsFileName), progress, cancellationToken))
        {
            directory = writer.Write();
            TransformsFile.Write(folder, writer.Transforms);
        }

        using (FileStream json = File.Create(Path.Combine(folder, DirectoryFileName)))
        {
            JsonSerializer.Serialize(json, directory, QuantizedModelJson.Default.QuantizedModelDirectory);
            json.WriteByte((byte)'\n');
        }

        return new QuantizedModel(folder, directory, KeyValueScales.Read(folder, directory.Architecture));
    }

    /// <summary>Opens what was quantized.</summary>
    /// <param name="folder">Holds weights.bin and weights.json.</param>
    /// <exception cref="ExportException">MDL4004: a file is missing or damaged.</exception>
    public static QuantizedModel Open(string folder)
    {
        string path = Path.Combine(folder, DirectoryFileName);
        QuantizedModelDirectory directory;
        try
        {
            directory = JsonSerializer.Deserialize(File.ReadAllBytes(path), QuantizedModelJson.Default.QuantizedModelDirectory)
                ?? throw new JsonException("The file is empty.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{path} cannot be read: {e.Message} Quantize the base again.", e);
        }

        var data = new FileInfo(Path.Combine(folder, WeightsFileName));
        long needed = directory.Tensors.Max(t => t.Offset + t.Bytes);
        if (!data.Exists || data.Length < needed)
            throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{data.FullName} has {(data.Exists ? data.Length : 0)} bytes, {DirectoryFileName} describes {needed}. Quantize the base again.");
        return new QuantizedModel(folder, directory, KeyValueScales.Read(folder, directory.Architecture));
    }

    /// <summary>Moves an adapter of the original base onto these weights, exactly: what was folded into them is folded into it.</summary>
    /// <param name="adapter">Trained on the original.</param>
    /// <exception cref="ExportException">MDL4012: it adapts a linear that this model lacks, or of another shape.</exception>
    public LoraAdapter FromOriginal(LoraAdapter adapter) => Transforms.IsIdentity ? adapter : Transformed().ToTransformed(adapter);

    /// <summary>Moves an adapter that was trained on these weights onto the original base, exactly.</summary>
    /// <param name="adapter">Trained on these weights.</param>
    /// <exception cref="ExportException">MDL4012: it adapts a linear that this model lacks, or of another shape.</exception>
    public LoraAdapter ToOriginal(LoraAdapter adapter) => Transforms.IsIdentity ? adapter : Transformed().ToOriginal(adapter);

    /// <summary>Whether the base has a weight of this Hugging Face name.</summary>
    public bool Contains(string name) => _weights.ContainsKey(name);

    /// <summary>The stored tensor of this name.</summary>
    /// <exception cref="ExportException">MDL4004: there is none.</exception>
    public BundleTensor Tensor(string name) => _tensors.TryGetValue(name, out BundleTensor? tensor)
        ? tensor
        : throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{WeightsPath} holds no tensor {name}. Quantize the base again.");

    /// <summary>Where a weight lies.</summary>
    /// <param name="name">Hugging Face name; "lm_head.weight" also where it is tied to the embedding.</param>
    /// <exception cref="ExportException">MDL4004: there is none.</exception>
    public QuantizedWeight Weight(string name) => _weights.TryGetValue(name, out QuantizedWeight? weight)
        ? weight
        : throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{Folder} holds no weight {name}.");

    /// <summary>Reads one weight as the kernels see it: row-major [out, in]; biases and norms [n].</summary>
    /// <param name="name">Hugging Face name; "lm_head.weight" also where it is tied to the embedding.</param>
    /// <exception cref="ExportException">MDL4004: there is no such weight, or the file is damaged.</exception>
    public float[] ReadDequantized(string name)
    {
        QuantizedWeight weight = Weight(name);
        var values = new float[(long)weight.Rows * weight.Columns];
        if (weight.Scales is null)
        {
            Read(weight.Data, (long)weight.FirstRow * weight.Columns * sizeof(float), MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        }

        int bits = weight.Format.Bits();
        int blocks = weight.Columns / Options.Block;
        var data = new byte[BlockQuantizer.DataBytes(weight.Rows, weight.Columns, bits)];
        var scales = new float[(long)weight.Rows * blocks];
        Read(weight.Data, BlockQuantizer.DataBytes(weight.FirstRow, weight.Columns, bits), data);
        Read(weight.Scales, (long)weight.FirstRow * blocks * sizeof(float), MemoryMarshal.AsBytes(scales.AsSpan()));
        BlockQuantizer.Dequantize(data, scales, weight.Columns, bits, Options.Block, values);
        return values;
    }

    private TransformedModel Transformed() => new(Architecture, name => Array.ConvertAll(ReadDequantized(name), v => (double)v), Transforms);

    private void Read(string name, long offset, Span<byte> target)
    {
        BundleTensor tensor = Tensor(name);
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(WeightsPath);
        long at = tensor.Offset + offset;
        while (!target.IsEmpty)
        {
            int read = RandomAccess.Read(file, target, at);
            if (read == 0)
                throw new ExportException(DiagnosticCodes.QuantizedWeightsInvalid, $"{WeightsPath} ends inside {name}. Quantize the base again.");
            target = target[read..];
            at += read;
        }
    }
}
