using System.Runtime.InteropServices;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Writes weights.bin in one pass: tensors in the order of execution, each at a multiple of 64 bytes.</summary>
internal sealed class QuantizedModelWriter : IDisposable
{
    private const int Alignment = 64;

    /// <summary>Weights held in fp32 at a time; bounds memory at about 64 MB whatever the model's size.</summary>
    private const int ChunkElements = 16 << 20;

    private readonly Checkpoint _checkpoint;
    private readonly TransformerConfig _config;
    private readonly QuantizationSettings _options;
    private readonly Calibration? _calibration;
    private readonly IProgress<double>? _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly FileStream _file;
    private readonly List<BundleTensor> _tensors = [];
    private readonly List<QuantizedWeight> _parts = [];
    private readonly double _totalElements;
    private double _doneElements;
    private QuantizationPlan? _plan;
    private TransformedWeights? _weights;
    private float[] _values = [];
    private byte[] _data = [];

    public QuantizedModelWriter(Checkpoint checkpoint, QuantizationSettings options, Calibration? calibration, string path, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        if (options.Weights != WeightFormat.None && options.Block is not (32 or 64 or 128 or 256))
            throw new ExportException(DiagnosticCodes.QuantizationSettingInvalid, $"A quantization block of {options.Block} was asked for; supported are 32, 64, 128 and 256.");
        if (options.Weights != WeightFormat.None && options.Embeddings == WeightFormat.None)
            throw new ExportException(DiagnosticCodes.QuantizationSettingInvalid, "Embeddings in full precision beside quantized weights are not supported; use \"int8\" or \"int4\".");
        _checkpoint = checkpoint;
        _config = checkpoint.Config;
        _options = options.Weights == WeightFormat.None ? options with { Embeddings = WeightFormat.None } : options;
        _calibration = calibration;
        _progress = progress;
        _cancellationToken = cancellationToken;
        _totalElements = Qwen2Tensors.Of(_config).Sum(t => t.Shape.Aggregate(1.0, (product, size) => product * size));
        _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
    }

    public QuantizedModelDirectory Write()
    {
        CheckBlocks();
        _plan = QuantizationPlan.Create(_checkpoint, _options, _calibration, _cancellationToken);
        _weights = new TransformedWeights(_checkpoint, _plan.Transforms);
        WriteMatrix(TensorNames.Embedding, [TensorNames.Embedding], _options.Embeddings, QuantizationPlan.Search(_options.Embeddings.Bits(), _options.Block, null));
        WriteRotaryTables();
        for (int layer = 0; layer < _config.Layers; layer++)
        {
            WriteVector(TensorNames.Layer(layer, "input_layernorm.weight"));
            foreach ((string fused, string[] modules) in TensorNames.Linears)
            {
                if (fused == "mlp.gate_up_proj")
                    WriteVector(TensorNames.Layer(layer, "post_attention_layernorm.weight"));
                WriteMatrix(TensorNames.Layer(layer, fused) + ".weight", [.. modules.Select(m => TensorNames.Layer(layer, m) + ".weight")], _plan.Format(layer, fused), _plan.Solver(layer, fused));
                if (fused == "self_attn.qkv_proj")
                    WriteBiases(TensorNames.Layer(layer, fused) + ".bias", [.. modules.Select(m => TensorNames.Layer(layer, m) + ".bias")]);
            }
        }

        WriteVector(TensorNames.FinalNorm);
        WriteHead();
        _file.Flush(flushToDisk: true);
        return new QuantizedModelDirectory(1, _config, _options.Weights, _options.Block, _options.Embeddings, _options.BitsPerWeight, _options.Quality, _tensors, _parts);
    }

    /// <summary>What was folded into the weights.</summary>
    public ModelTransforms Transforms => _plan!.Transforms;

    public void Dispose() => _file.Dispose();

    /// <summary>Finds every width that does not fit before any work is done.</summary>
    private void CheckBlocks()
    {
        if (_options.Weights == WeightFormat.None)
            return;
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(_config))
        {
            if (shape.Length == 2)
                BlockQuantizer.Check(name, (int)shape[1], 8, _options.Block);
        }
    }

    /// <summary>A tied head is the embedding's bytes under a second name, in MatMulNBits' shape.</summary>
    private void WriteHead()
    {
        if (!_config.TiedEmbeddings)
        {
            WriteMatrix(TensorNames.Head, [TensorNames.Head], _options.Embeddings, QuantizationPlan.Search(_options.Embeddings.Bits(), _options.Block, null));
            return;
        }

        foreach (BundleTensor tensor in _tensors.Where(t => t.Name.StartsWith(TensorNames.Embedding, StringComparison.Ordinal)).ToArray())
        {
            string name = TensorNames.Head + tensor.Name[TensorNames.Embedding.Length..];
            IReadOnlyList<long> dims = tensor.Type == "uint8" ? QuantizedDims(_config.VocabularySize, _config.HiddenSize, _options.Embeddings) : tensor.Dims;
            _tensors.Add(tensor with { Name = name, Dims = dims });
        }

        QuantizedWeight embedding = _parts.Single(p => p.Name == TensorNames.Embedding);
        _parts.Add(embedding with { Name = TensorNames.Head, Data = TensorNames.Head, Scales = embedding.Scales is null ? null : TensorNames.Scales(TensorNames.Head) });
    }

    private void WriteMatrix(string stored, string[] names, WeightFormat format, RowSolver solver)
    {
        int[] rows = [.. names.Select(n => (int)_checkpoint.Tensors[n].Shape[0])];
        int columns = (int)_checkpoint.Tensors[names[0]].Shape[1];
        int total = rows.Sum();
        string? scalesName = format == WeightFormat.None ? null : TensorNames.Scales(stored);
        float[] scales = format == WeightFormat.None ? [] : new float[total * (long)(columns / _options.Block)];
        long start = Align();

        int firstRow = 0;
        for (int i = 0; i < names.Length; i++)
        {
            int blocks = format == WeightFormat.None ? 0 : columns / _options.Block;
            WriteRows(names[i], rows[i], columns, format, solver, scales.AsMemory(firstRow * blocks, rows[i] * blocks));
            _parts.Add(new QuantizedWeight(names[i], format, rows[i], columns, firstRow, stored, scalesName));
            firstRow += rows[i];
        }

        if (format == WeightFormat.None)
        {
            AddTensor(stored, "float32", [total, columns], start);
            return;
        }

        AddTensor(stored, "uint8", stored == TensorNames.Embedding ? [total, columns * format.Bits() / 8] : QuantizedDims(total, columns, format), start);
        WriteFloats(TensorNames.Scales(stored), [total, columns / _options.Block], scales);
    }

    private long[] QuantizedDims(int rows, int columns, WeightFormat format) => [rows, columns / _options.Block, _options.Block * format.Bits() / 8];

    private void WriteRows(string name, int rows, int columns, WeightFormat format, RowSolver solver, Memory<float> scales)
    {
        int chunkRows = Math.Clamp(ChunkElements / columns, 1, rows);
        Grow(ref _values, chunkRows * columns);
        if (format != WeightFormat.None)
            Grow(ref _data, (int)BlockQuantizer.DataBytes(chunkRows, columns, format.Bits()));
        for (int row = 0; row < rows; row += chunkRows)
        {
            _cancellationToken.ThrowIfCancellationRequested();
            int count = Math.Min(chunkRows, rows - row);
            Memory<float> chunk = _values.AsMemory(0, count * columns);
            _weights!.Read(name, chunk, (long)row * columns);
            if (format == WeightFormat.None)
            {
                _file.Write(MemoryMarshal.AsBytes(chunk.Span));
            }
            else
            {
                int blocks = columns / _options.Block;
                Memory<byte> bytes = _data.AsMemory(0, (int)BlockQuantizer.DataBytes(count, columns, format.Bits()));
                solver(name, chunk, columns, bytes, scales.Slice(row * blocks, count * blocks), row);
                _file.Write(bytes.Span);
            }

            Done(chunk.Length);
        }
    }

    /// <summary>Buffers serve one matrix after the other: new ones of this size are fresh pages, which cost as much as what fills them.</summary>
    private static void Grow<T>(ref T[] buffer, int length)
    {
        if (buffer.Length < length)
            buffer = GC.AllocateUninitializedArray<T>(length);
    }

    private void WriteVector(string name)
    {
        float[] values = ReadVector(name);
        WriteFloats(name, [values.Length], values);
        _parts.Add(new QuantizedWeight(name, WeightFormat.None, values.Length, 1, 0, name, null));
    }

    private void WriteBiases(string stored, string[] names)
    {
        var all = new List<float>();
        foreach (string name in names)
        {
            float[] values = ReadVector(name);
            _parts.Add(new QuantizedWeight(name, WeightFormat.None, values.Length, 1, all.Count, stored, null));
            all.AddRange(values);
        }

        WriteFloats(stored, [all.Count], CollectionsMarshal.AsSpan(all));
    }

    private float[] ReadVector(string name)
    {
        var values = new float[_checkpoint.Tensors[name].Count];
        _weights!.Read(name, values);
        Done(values.Length);
        return values;
    }

    /// <summary>cos and sin of position * theta^(-2i/d), [positions, d/2], computed in double as Hugging Face's rotary embedding defines them.</summary>
    private void WriteRotaryTables()
    {
        int positions = Math.Min(_config.MaxPositions, QuantizedModel.MaxPositions);
        int half = _config.HeadSize / 2;
        var cos = new float[positions * half];
        var sin = new float[positions * half];
        for (int i = 0; i < half; i++)
        {
            double frequency = Math.Pow(_config.RopeTheta, -2.0 * i / _config.HeadSize);
            for (int position = 0; position < positions; position++)
            {
                (double s, double c) = Math.SinCos(position * frequency);
                cos[(position * half) + i] = (float)c;
                sin[(position * half) + i] = (float)s;
            }
        }

        WriteFloats(TensorNames.RotaryCos, [positions, half], cos);
        WriteFloats(TensorNames.RotarySin, [positions, half], sin);
    }

    private void WriteFloats(string name, long[] dims, ReadOnlySpan<float> values)
    {
        long start = Align();
        _file.Write(MemoryMarshal.AsBytes(values));
        AddTensor(name, "float32", dims, start);
    }

    private void AddTensor(string name, string type, long[] dims, long start)
        => _tensors.Add(new BundleTensor(name, type, dims, start, _file.Position - start));

    private long Align()
    {
        int padding = (int)((Alignment - (_file.Position % Alignment)) % Alignment);
        _file.Write(stackalloc byte[padding]);
        return _file.Position;
    }

    private void Done(int elements)
    {
        _doneElements += elements;
        _progress?.Report(Math.Min(1, _doneElements / _totalElements));
    }
}
