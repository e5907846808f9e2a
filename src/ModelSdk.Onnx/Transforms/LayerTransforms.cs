namespace ModelSdk.Onnx.Transforms;

/// <summary>Transforms within one layer; each is optional.</summary>
public sealed record LayerTransforms
{
    /// <summary>T_k: rotates and scales the pairs of the keys, and the queries inversely.</summary>
    public KeyTransform? Keys { get; init; }

    /// <summary>T_v: an invertible matrix per key/value head on the values, undone by o_proj.</summary>
    public ValueTransform? Values { get; init; }

    /// <summary>T_u: factor of each row of up_proj, undone by the columns of down_proj; [F], none 0, in the channels' original order.</summary>
    public double[]? Up { get; init; }

    /// <summary>New order of the feed-forward channels, [F]: channel i becomes what channel <c>Permutation[i]</c> was.</summary>
    public int[]? Permutation { get; init; }

    /// <summary>Whether nothing is transformed.</summary>
    public bool IsIdentity => Keys is null && Values is null && Up is null && Permutation is null;
}
