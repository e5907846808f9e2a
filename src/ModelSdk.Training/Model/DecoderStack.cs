using ModelSdk.Runtime.Bundles;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>Puts the new keys and values of a layer behind those that are cached and returns all of them.</summary>
/// <param name="layer">Layer, from 0.</param>
/// <param name="keys">New keys, rotated: [B, KVH, T, h].</param>
/// <param name="values">New values: [B, KVH, T, h].</param>
/// <returns>Keys and values to attend to: [B, KVH, S, h].</returns>
internal delegate (Tensor Keys, Tensor Values) KeyValueExtension(int layer, Tensor keys, Tensor values);

/// <summary>The forward pass through all layers, without embedding and head. Pure: weights come in, hidden states go out.</summary>
internal static class DecoderStack
{
    /// <summary>Runs the layers.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="layers">Weights, one entry a layer.</param>
    /// <param name="x">Embedded tokens [B, T, D].</param>
    /// <param name="rotary">Rotary tables.</param>
    /// <param name="table">Tables of the positions of <paramref name="x"/>.</param>
    /// <param name="mask">Added to the scores: [1 or B*KVH, G*T, S], 0 or minus infinity; null: all see all.</param>
    /// <param name="extend">Key/value cache; null: the tokens see only each other.</param>
    /// <returns>Residual stream after the last layer, before the final norm: [B, T, D].</returns>
    public static Tensor Run(TransformerConfig config, IReadOnlyList<LayerWeights> layers, Tensor x, RotaryTable rotary, (Tensor Cos, Tensor Sin) table, Tensor? mask, KeyValueExtension? extend = null)
    {
        // x stays [B, T, D].
        for (var i = 0; i < layers.Count; i++)
        {
            x = x + Attend(config, layers[i], i, Normalize(x, config.RmsNormEpsilon), rotary, table, mask, layers[i].Cache?.Before(extend) ?? extend);
            x = x + FeedForward(layers[i], Normalize(x, config.RmsNormEpsilon));
        }

        return x;
    }

    /// <summary>RMSNorm without its gain, which is folded into the linear behind it: x / sqrt(mean(x^2) + epsilon) over the last dimension.</summary>
    public static Tensor Normalize(Tensor x, double epsilon)
    {
        var wide = x.to_type(ScalarType.Float32);
        using Scalar added = epsilon.ToScalar(), once = 1.ToScalar(); // named, so that they live as long as the native call
        return (wide * torch.rsqrt(wide.square().mean([-1], keepdim: true).add(added, once))).to_type(x.dtype);
    }

    private static Tensor Attend(TransformerConfig config, LayerWeights layer, int index, Tensor x, RotaryTable rotary, (Tensor Cos, Tensor Sin) table, Tensor? mask, KeyValueExtension? extend) =>
        layer.Output.Apply(Mix(config, layer.Qkv.Apply(x), index, rotary, table, mask, extend));

    /// <summary>Attention between its two linears: queries, keys and values [B, T, (H + 2 KVH) h] -> mixed values [B, T, H h]; 1/sqrt(h) is in the queries.</summary>
    public static Tensor Mix(TransformerConfig config, Tensor projected, int index, RotaryTable rotary, (Tensor Cos, Tensor Sin) table, Tensor? mask, KeyValueExtension? extend)
    {
        long rows = projected.shape[0], length = projected.shape[1];
        int heads = config.Heads, kvHeads = config.KeyValueHeads, size = config.HeadSize, group = heads / kvHeads;

        var qkv = projected.view(rows, length, heads + (2 * kvHeads), size);                     // [B, T, H + 2 KVH, h]
        var parts = qkv.split([heads + kvHeads, kvHeads], dim: 2);
        var rotated = rotary.Rotate(parts[0], table).split([heads, kvHeads], dim: 2);
        var keys = rotated[1].transpose(1, 2);                                                   // [B, KVH, T, h]
        var values = parts[1].transpose(1, 2);
        if (extend is not null)
        {
            (keys, values) = extend(index, keys, values);                                        // [B, KVH, S, h]
        }

        var total = keys.shape[2];
        // The query heads of one group stand below each other, so that keys and values are never repeated.
        var queries = rotated[0].view(rows, length, kvHeads, group, size).permute(0, 2, 3, 1, 4).reshape(rows * kvHeads, group * length, size);
        keys = keys.reshape(rows * kvHeads, total, size);
        values = values.reshape(rows * kvHeads, total, size);

        var scores = torch.bmm(queries, keys.transpose(1, 2));                                   // [B KVH, G T, S]
        if (mask is not null)
        {
            scores = scores.add_(mask);
        }

        return torch.bmm(nn.functional.softmax(scores, -1), values)                              // [B KVH, G T, h]
            .view(rows, kvHeads, group, length, size).permute(0, 3, 1, 2, 4).reshape(rows, length, heads * size);
    }

    private static Tensor FeedForward(LayerWeights layer, Tensor x)
    {
        var parts = layer.GateUp.Apply(x).chunk(2, -1);                                          // 2 x [B, T, F]
        return layer.Down.Apply(nn.functional.silu(parts[0]) * parts[1]);
    }
}
