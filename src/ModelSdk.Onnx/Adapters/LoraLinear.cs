namespace ModelSdk.Onnx.Adapters;

/// <summary>Low-rank update of one linear: W x becomes W x + (alpha / r) B (A x).</summary>
/// <param name="Name">The linear's module name, e.g. "model.layers.0.self_attn.q_proj".</param>
/// <param name="InFeatures">Columns of the linear.</param>
/// <param name="OutFeatures">Rows of the linear.</param>
/// <param name="A">Down projection, row-major [r, in].</param>
/// <param name="B">Up projection, row-major [out, r].</param>
public sealed record LoraLinear(string Name, int InFeatures, int OutFeatures, float[] A, float[] B)
{
    /// <summary>The linear's short name, e.g. "q_proj".</summary>
    public string Target => Name[(Name.LastIndexOf('.') + 1)..];
}
