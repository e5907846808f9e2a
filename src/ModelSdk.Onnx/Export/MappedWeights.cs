using System.IO.MemoryMappedFiles;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <summary>weights.bin mapped into memory, as tensors that every session shares.</summary>
internal sealed class MappedWeights : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly List<(string Name, OrtValue Value)> _values = [];

    public unsafe MappedWeights(QuantizedModel model)
    {
        _map = MemoryMappedFile.CreateFromFile(model.WeightsPath, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        _view = _map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        foreach (BundleTensor tensor in model.Tensors)
        {
            _values.Add((tensor.Name, OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance, tensor.Type == "uint8" ? TensorElementType.UInt8 : TensorElementType.Float, [.. tensor.Dims], (nint)(start + tensor.Offset), tensor.Bytes)));
        }
    }

    public PrePackedWeightsContainer Prepacked { get; } = new();

    public void AddTo(SessionOptions options)
    {
        foreach ((string name, OrtValue value) in _values)
            options.AddInitializer(name, value);
    }

    public void Dispose()
    {
        foreach ((_, OrtValue value) in _values)
            value.Dispose();
        Prepacked.Dispose();
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }
}
