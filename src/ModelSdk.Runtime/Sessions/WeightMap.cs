using System.IO.MemoryMappedFiles;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>The base weights, memory-mapped once and handed to every session, so that a further adapter costs only its own bytes.</summary>
internal sealed unsafe class WeightMap : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly List<(string Name, OrtValue Value)> _tensors = [];

    private WeightMap(MemoryMappedFile file, MemoryMappedViewAccessor view)
    {
        _file = file;
        _view = view;
    }

    /// <summary>Initializers by name; they point into the mapped file.</summary>
    public IReadOnlyList<(string Name, OrtValue Value)> Tensors => _tensors;

    public static WeightMap Open(string bundleFolder, BundleManifest manifest) =>
        Open(bundleFolder, manifest.Weights, manifest.Files[manifest.Weights.File].Bytes);

    /// <summary>Maps a weight file.</summary>
    /// <param name="folder">The folder that holds it.</param>
    /// <param name="weights">Its name and directory.</param>
    /// <param name="expected">Its length.</param>
    public static WeightMap Open(string folder, BundleWeights weights, long expected)
    {
        string path = Path.Combine(folder, weights.File);
        MemoryMappedFile file;
        try
        {
            // A shorter file than the manifest states would crash the process when it is touched, so look again right before mapping.
            if (new FileInfo(path).Length != expected)
                throw new BundleException(DiagnosticCodes.BundleFileTruncated, $"The file {weights.File} does not have {expected} bytes.", folder);
            file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BundleException(DiagnosticCodes.BundleFileMissing, $"The file {weights.File} cannot be mapped: {e.Message}", folder, e);
        }

        MemoryMappedViewAccessor view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        WeightMap map = new(file, view);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        start += view.PointerOffset;
        foreach (BundleTensor tensor in weights.Tensors)
        {
            if (tensor.Bytes == 0)
                continue;
            map._tensors.Add((tensor.Name, OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance,
                ElementType(tensor.Type),
                [.. tensor.Dims],
                (nint)(start + tensor.Offset),
                tensor.Bytes)));
        }

        return map;
    }

    public void Dispose()
    {
        foreach ((_, OrtValue value) in _tensors)
            value.Dispose();
        _tensors.Clear();
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private static TensorElementType ElementType(string type) => type switch
    {
        "float32" => TensorElementType.Float,
        "float16" => TensorElementType.Float16,
        "bfloat16" => TensorElementType.BFloat16,
        "uint8" => TensorElementType.UInt8,
        "int8" => TensorElementType.Int8,
        "int32" => TensorElementType.Int32,
        _ => TensorElementType.Int64,
    };
}
