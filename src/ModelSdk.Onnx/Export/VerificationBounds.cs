namespace ModelSdk.Onnx.Export;

/// <summary>
/// What an export may differ by. A difference is the root mean square of the logits' differences divided by that of the
/// reference's logits: a wrong graph gives about 1, and one position where the model wavers does not decide alone.
/// </summary>
public sealed record VerificationBounds
{
    /// <summary>Between two ways to run the same weights (token by token, in chunks, in batches, with a zero adapter), products in fp32. Measured: 1e-6.</summary>
    public double SameWeightsExact { get; init; } = 1e-4;

    /// <summary>
    /// The same where activations are rounded to 8 bits: last-bit differences flip roundings, so two ways of running may differ
    /// by as much as the rounding itself. Measured: at most 0.01.
    /// </summary>
    public double SameWeightsRounded { get; init; } = 0.05;

    /// <summary>Between the graph and reference logits, products in fp32 (weights "none" or accuracy_level 1). Measured: 1e-6.</summary>
    public double ReferenceExact { get; init; } = 1e-4;

    /// <summary>
    /// Between the graph and reference logits where activations are rounded to 8 bits (accuracy_level 4). Each product then has a
    /// relative error of 0.5% to 0.65% (blocks of 16 to 128). Measured: 0.009 to 0.017 on a
    /// trained model of 1.4M parameters (worst single logit 0.05 to 0.5), 0.02 to 0.04 on random models.
    /// </summary>
    public double ReferenceRounded { get; init; } = 0.1;

    /// <summary>Least share of positions where graph and reference logits have the same greatest logit.</summary>
    public double ArgmaxAgreement { get; init; } = 0.95;

    /// <summary>
    /// Least share of positions whose likeliest token is the same whether activations are rounded (accuracy_level 4) or not (1). Below it, or where logits differ by more than
    /// <see cref="ReferenceRounded"/>, products of the model are taken from rounding, those with the greatest effect first. Measured: 1.0 on the sample.
    /// </summary>
    public double LevelAgreement { get; init; } = 0.95;

    /// <summary>Tokens whose logits differ by less than this share of the logits' root mean square are equally likely, and which one is the likeliest says nothing.</summary>
    public double LevelTie { get; init; } = 0.05;
}
