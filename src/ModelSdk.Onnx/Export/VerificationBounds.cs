namespace ModelSdk.Onnx.Export;

/// <summary>
/// What an export may differ by. Differences are the greatest over all logits compared, divided by the root mean square
/// of the reference's logits.
/// </summary>
public sealed record VerificationBounds
{
    /// <summary>Between two ways to run the same weights (token by token, in chunks, in batches, with a zero adapter), products in fp32. Measured: 1e-5.</summary>
    public double SameWeightsExact { get; init; } = 1e-3;

    /// <summary>
    /// The same where activations are rounded to 8 bits: last-bit differences flip roundings, so two ways of running may differ
    /// by as much as the rounding itself. Measured on random models: 0.04.
    /// </summary>
    public double SameWeightsRounded { get; init; } = 0.15;

    /// <summary>Between the graph and reference logits, products in fp32 (weights "none" or accuracy_level 1). Measured: 1e-5.</summary>
    public double ReferenceExact { get; init; } = 1e-3;

    /// <summary>
    /// Between the graph and reference logits where activations are rounded to 8 bits (accuracy_level 4). Each product then has a
    /// relative error of 0.5% to 0.65% (blocks of 16 to 128). Measured greatest difference on random models: 0.09 to 0.18.
    /// </summary>
    public double ReferenceRounded { get; init; } = 0.25;

    /// <summary>Least share of positions where graph and reference logits have the same greatest logit.</summary>
    public double ArgmaxAgreement { get; init; } = 0.95;
}
