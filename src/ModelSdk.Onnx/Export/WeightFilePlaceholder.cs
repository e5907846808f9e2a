using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Onnx.Export;

/// <summary>
/// ONNX Runtime refuses a graph whose data file does not exist, also when every tensor of it is handed in. Where graphs lie
/// apart from weights.bin, an empty file stands in for it while they are verified.
/// </summary>
internal sealed class WeightFilePlaceholder : IDisposable
{
    private readonly string? _path;

    public WeightFilePlaceholder(string folder)
    {
        string file = Path.Combine(folder, QuantizedModel.WeightsFileName);
        if (File.Exists(file))
            return;
        File.WriteAllBytes(file, []);
        _path = file;
    }

    public void Dispose()
    {
        if (_path is not null)
            File.Delete(_path);
    }
}
