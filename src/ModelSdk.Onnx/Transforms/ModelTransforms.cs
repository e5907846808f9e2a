namespace ModelSdk.Onnx.Transforms;

/// <summary>
/// Changes of basis inside a model that leave what it computes as it is, and merge into its weights (paper, section 6,
/// "The transforms"). They make the weights, or the keys and values, easier to quantize. Nothing is left to do at run time.
/// </summary>
public sealed record ModelTransforms
{
    /// <summary>
    /// Moves the gain of every norm into the linears that read it; the norms' gains become 1. The gain of the final norm goes
    /// into the LM head, so a tied model gets a head of its own. Default false.
    /// </summary>
    public bool FoldNorms { get; init; }

    /// <summary>T_r: an orthogonal matrix R of the residual stream, row-major [D, D]; E &lt;- E R. Needs <see cref="FoldNorms"/>. Default none.</summary>
    public double[]? Residual { get; init; }

    /// <summary>Transforms within each layer, in order; empty: none.</summary>
    public IReadOnlyList<LayerTransforms> Layers { get; init; } = [];

    /// <summary>Whether nothing is transformed.</summary>
    public bool IsIdentity => !FoldNorms && Residual is null && Layers.All(l => l.IsIdentity);
}
