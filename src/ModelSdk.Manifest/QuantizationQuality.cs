namespace ModelSdk.Manifest;

/// <summary>How much work goes into choosing the quantized weights (paper 6, "Methods by cost").</summary>
public enum QuantizationQuality
{
    /// <summary>Search over signed full-range scales; looks at the weights alone; <c>fast</c>.</summary>
    Fast,

    /// <summary>
    /// The search weighted by E[x^2] of what each column is multiplied with, after diagonal T_u and T_v that are folded into
    /// the weights; runs the calibration's texts through the base once; <c>balanced</c>.
    /// </summary>
    Balanced,

    /// <summary>
    /// GPTQ in the order of falling activation, feed-forward channels permuted for it; runs the texts twice and takes memory of
    /// 12 bytes times the square of the widest layer; <c>best</c>.
    /// </summary>
    Best,
}
