using Microsoft.ML.OnnxRuntime;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Onnx.Export;

/// <summary>Keys and values of B rows, zero at first.</summary>
internal sealed class KeyValueCache : IDisposable
{
    public KeyValueCache(TransformerConfig config, int rows, int context, CacheFormat format = CacheFormat.None)
    {
        Rows = rows;
        Memory = new KeyValueMemory(config, rows, context, format);
        Views = Memory.View(0, rows);
    }

    public int Rows { get; }

    public KeyValueMemory Memory { get; }

    /// <summary>Layer 0 keys, layer 0 values, layer 1 keys, ...</summary>
    public OrtValue[] Views { get; }

    public void Dispose()
    {
        foreach (OrtValue view in Views)
            view.Dispose();
        Memory.Dispose();
    }
}
