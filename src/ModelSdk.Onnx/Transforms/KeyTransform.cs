using ModelSdk.Onnx.Transforms.Maps;

namespace ModelSdk.Onnx.Transforms;

/// <summary>
/// T_k: for each key/value head and rotary pair (p, p + h/2), the key's pair is turned by an angle and multiplied by a
/// scale; the queries of the group are turned alike and divided by it. Commutes with rotary positions, so it holds at every
/// position, and what is cached is the transformed key.
/// </summary>
/// <param name="Scales">Factors, [KVH, h/2], none 0.</param>
/// <param name="Angles">Angles in radians, [KVH, h/2].</param>
public sealed record KeyTransform(double[] Scales, double[] Angles)
{
    /// <summary>
    /// The closed form: s_p = <paramref name="bound"/> / max over tokens of the pair's norm. Afterwards no key exceeds the bound at any
    /// position, whatever the rotation, so one int8 scale of bound / 127 serves all channels.
    /// </summary>
    /// <param name="maxima">Greatest norm of each pair over calibration tokens, [KVH, h/2]; a pair that is always 0 keeps scale 1.</param>
    /// <param name="bound">c, greater than 0. Default 1.</param>
    public static KeyTransform FromMaxima(IReadOnlyList<double> maxima, double bound = 1)
        => new([.. maxima.Select(m => m > 0 ? bound / m : 1)], new double[maxima.Count]);

    internal AxisMap Map(int headSize) => new RotaryMap(headSize, Scales, Angles);

    /// <summary>The map of all query heads: the inverse transposed, so that every product of a query and a key stays as it is.</summary>
    internal AxisMap QueryMap(int headSize, int group)
        => new RotaryMap(headSize, [.. Repeat(Scales, headSize / 2, group).Select(s => 1 / s)], [.. Repeat(Angles, headSize / 2, group)]);

    private static IEnumerable<double> Repeat(double[] perHead, int width, int group)
        => perHead.Chunk(width).SelectMany(head => Enumerable.Repeat(head, group).SelectMany(h => h));
}
