using System.IO.MemoryMappedFiles;
using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>A safetensors file, mapped into memory and checked when opened. Reading is thread-safe.</summary>
public sealed class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, TensorInfo> _tensors = new(StringComparer.Ordinal);

    private SafetensorsFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view, List<TensorInfo> tensors, Dictionary<string, string> metadata)
    {
        Metadata = metadata;
        Path = path;
        _map = map;
        _view = view;
        foreach (TensorInfo tensor in tensors)
            _tensors.Add(tensor.Name, tensor);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors => _tensors;

    /// <summary>Texts of the header beside the tensors, such as "format": "pt".</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps a file and checks its header, bounds, overlaps, holes and alignment.</summary>
    /// <exception cref="ModelFormatException">The file is missing or damaged.</exception>
    public static SafetensorsFile Open(string path)
    {
        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1);
            long length = stream.Length;
            if (length < SafetensorsHeader.PrefixBytes)
                throw new ModelFormatException(DiagnosticCodes.SafetensorsDamaged, $"The safetensors file is damaged: it has {length} bytes, too few for a header. Download it again.", path);
            Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixBytes];
            stream.ReadExactly(prefix);
            var header = new byte[SafetensorsHeader.Length(prefix, length, path)];
            stream.ReadExactly(header);
            (List<TensorInfo> tensors, Dictionary<string, string> metadata) = SafetensorsHeader.Parse(header, length, path);

            map = MemoryMappedFile.CreateFromFile(stream, mapName: null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            var file = new SafetensorsFile(path, map, view, tensors, metadata);
            (map, view) = (null, null);
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException(DiagnosticCodes.ModelFileMissing, $"Cannot read the safetensors file: {e.Message}", path, e);
        }
        finally
        {
            view?.Dispose();
            map?.Dispose();
        }
    }

    /// <summary>Reads a whole tensor as singles, row-major. BF16 and F16 are widened exactly.</summary>
    /// <exception cref="ModelFormatException">There is no such tensor, or it holds no floating point numbers.</exception>
    /// <exception cref="ObjectDisposedException">The file was closed.</exception>
    public float[] ReadFloats(string name)
    {
        TensorInfo tensor = Find(name);
        if (tensor.Count > Array.MaxLength)
            throw new ModelFormatException(DiagnosticCodes.TensorTypeUnsupported, $"Tensor \"{name}\" has {tensor.Count} elements, more than fit one array.", Path);
        float[] values = GC.AllocateUninitializedArray<float>((int)tensor.Count);
        ReadFloats(name, values);
        return values;
    }

    /// <summary>Reads a run of a tensor's elements as singles, row-major.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="target">Receives the elements; all of it is filled.</param>
    /// <param name="start">Index of the first element in the flattened tensor.</param>
    /// <exception cref="ArgumentOutOfRangeException">The run is not inside the tensor.</exception>
    /// <exception cref="ModelFormatException">There is no such tensor, or it holds no floating point numbers.</exception>
    /// <exception cref="ObjectDisposedException">The file was closed.</exception>
    public void ReadFloats(string name, Span<float> target, long start = 0)
    {
        TensorInfo tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, tensor.Count - target.Length);
        if (tensor.DType == TensorDType.Other)
            throw new ModelFormatException(DiagnosticCodes.TensorTypeUnsupported, $"Tensor \"{name}\" has type {tensor.TypeName}; weights are read from BF16, F16 and F32.", Path);
        Copy(tensor, target, start);
    }

    /// <summary>Unmaps the file.</summary>
    public void Dispose()
    {
        _view.Dispose();
        _map.Dispose();
    }

    private TensorInfo Find(string name) =>
        _tensors.GetValueOrDefault(name)
        ?? throw new ModelFormatException(DiagnosticCodes.TensorMissing, $"There is no tensor \"{name}\".", Path);

    private unsafe void Copy(TensorInfo tensor, Span<float> target, long start)
    {
        byte* mapped = null;
        try
        {
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref mapped);
            byte* data = mapped + tensor.Offset;
            switch (tensor.DType)
            {
                case TensorDType.F32:
                    new ReadOnlySpan<float>((float*)data + start, target.Length).CopyTo(target);
                    break;
                case TensorDType.BF16:
                    FloatConversion.WidenBFloat16(new ReadOnlySpan<ushort>((ushort*)data + start, target.Length), target);
                    break;
                default:
                    FloatConversion.WidenHalf(new ReadOnlySpan<ushort>((ushort*)data + start, target.Length), target);
                    break;
            }
        }
        finally
        {
            if (mapped != null)
                _view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }
}
