namespace ModelSdk.Onnx.Export;

/// <summary>
/// What an export may differ by. Differences are the greatest over all logits compared, divided by the root mean square
/// of the reference's logits.
/// </summary>
public sealed record VerificationBounds
{
    /// <summary>
    /// Between two ways to run the same weights (token by token, in chunks, in batches, with a zero adapter).
    /// </summary>
    public double SameWeights { get; init; } = 0.05;

    /// <summary>Between the graph and reference logits, products in fp32 (weights "none" or accuracy_level 1).</summary>
    public double ReferenceExact { get; init; } = 1e-3;

    /// <summary>Between the graph and reference logits where activations are rounded to 8 bits (accuracy_level 4).</summary>
    public double ReferenceRounded { get; init; } = 0.25;

    /// <summary>Least share of positions where graph and reference logits have the same greatest logit.</summary>
    public double ArgmaxAgreement { get; init; } = 0.95;
}
