using Microsoft.ML.OnnxRuntime;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <summary>Keys and values of B rows: per layer two buffers [B, KVH, MAX, d], zero at first.</summary>
internal sealed class KeyValueCache : IDisposable
{
    public KeyValueCache(TransformerConfig config, int rows, int context)
    {
        Rows = rows;
        Layers = [.. Enumerable.Range(0, config.Layers).Select(_ => (Buffer(), Buffer()))];

        OrtValue Buffer() => OrtValue.CreateTensorValueFromMemory(
            new float[(long)rows * config.KeyValueHeads * context * config.HeadSize], [rows, config.KeyValueHeads, context, config.HeadSize]);
    }

    public int Rows { get; }

    public IReadOnlyList<(OrtValue Key, OrtValue Value)> Layers { get; }

    public void Dispose()
    {
        foreach ((OrtValue key, OrtValue value) in Layers)
        {
            key.Dispose();
            value.Dispose();
        }
    }
}
