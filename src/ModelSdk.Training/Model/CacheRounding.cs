using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>Rounds a layer's keys and values to what a quantized cache stores of them. Gradients pass as if nothing were rounded.</summary>
internal sealed class CacheRounding : IDisposable
{
    private readonly Tensor _keys;                      // [KVH, 1, h]
    private readonly Tensor _values;
    private readonly double _most;

    /// <summary>Takes the scales of a layer.</summary>
    /// <param name="scales">Scales of the layer.</param>
    /// <param name="format">Bits.</param>
    /// <param name="headSize">h.</param>
    /// <param name="device">Device of keys and values.</param>
    public CacheRounding(LayerScales scales, CacheFormat format, int headSize, Device device)
    {
        using var scope = NewDisposeScope();
        _most = format == CacheFormat.Int4 ? 7 : sbyte.MaxValue;
        Tensor Steps(float[] values) => tensor(values, [values.Length / headSize, 1, headSize]).clone().to(device).DetachFromDisposeScope();
        (_keys, _values) = (Steps(scales.Keys), Steps(scales.Values));
    }

    /// <summary>The extension of a layer that stores keys and values rounded.</summary>
    /// <param name="extend">What puts them into the cache; null: nothing is cached.</param>
    public KeyValueExtension Before(KeyValueExtension? extend) => (layer, keys, values) =>
    {
        (keys, values) = (Round(keys, _keys), Round(values, _values));
        return extend is null ? (keys, values) : extend(layer, keys, values);
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        _keys.Dispose();
        _values.Dispose();
    }

    /// <summary>x [B, KVH, T, h], steps [KVH, 1, h].</summary>
    private Tensor Round(Tensor x, Tensor steps)
    {
        using var scope = NewDisposeScope();
        Tensor stored;
        using (no_grad())
        {
            stored = (x.to_type(ScalarType.Float32) / steps).round().clamp(-_most, _most).mul(steps).to_type(x.dtype);
        }

        return (is_grad_enabled() && x.requires_grad ? x + (stored - x.detach()) : stored).MoveToOuterDisposeScope();
    }
}
