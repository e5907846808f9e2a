using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Size of the file of weights, known from the shape alone.</summary>
public static class QuantizedSize
{
    /// <summary>Bytes of all weights with their scales; the file holds rotary tables and a little padding besides.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="options">Formats and block.</param>
    public static long Of(TransformerConfig config, QuantizationSettings options)
    {
        double bits = 0;
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
        {
            double count = shape.Aggregate(1.0, (product, size) => product * size);
            bits += count * (shape.Length == 1 || options.Weights == WeightFormat.None ? 32
                : name is Qwen2Tensors.Embedding or Qwen2Tensors.Head ? options.Embeddings.Bits() + (32.0 / options.Block)
                : options.BitsPerWeight ?? options.Weights.Bits() + (32.0 / options.Block));
        }

        return (long)(bits / 8);
    }
}
