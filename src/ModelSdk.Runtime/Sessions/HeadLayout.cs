using Microsoft.ML.OnnxRuntime.Tensors;

using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Sessions;

/// <summary>How the keys (or values) of one token and head lie in memory.</summary>
/// <param name="Type">Element type.</param>
/// <param name="Width">Elements, the last dimension of a cache's tensors: two 4-bit numbers share one.</param>
/// <param name="Bytes">Bytes.</param>
internal readonly record struct HeadLayout(TensorElementType Type, int Width, int Bytes)
{
    /// <summary>The layout of a format.</summary>
    public static HeadLayout Of(TransformerConfig config, CacheFormat format) => format switch
    {
        CacheFormat.Int8 => new(TensorElementType.Int8, config.HeadSize, config.HeadSize),
        CacheFormat.Int4 => new(TensorElementType.UInt8, config.HeadSize / 2, config.HeadSize / 2),
        _ => new(TensorElementType.Float, config.HeadSize, config.HeadSize * sizeof(float)),
    };
}
