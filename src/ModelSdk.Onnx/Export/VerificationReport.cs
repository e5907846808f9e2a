namespace ModelSdk.Onnx.Export;

/// <summary>Everything that was compared; all within bounds, else <see cref="ExportVerifier"/> throws.</summary>
/// <param name="Checks">In the order of execution.</param>
public sealed record VerificationReport(IReadOnlyList<VerificationCheck> Checks);

/// <summary>One comparison.</summary>
/// <param name="Mode">"base" or an adapter's name.</param>
/// <param name="Name">What was compared with what, e.g. "token by token = in one pass".</param>
/// <param name="Positions">Token positions compared.</param>
/// <param name="Difference">Root mean square of the logits' differences, divided by that of the reference's logits.</param>
/// <param name="Bound">What <paramref name="Difference"/> may be.</param>
/// <param name="GreatestDifference">Greatest difference of a logit, divided likewise; no bound of its own, as one uncertain position can be far off.</param>
/// <param name="ArgmaxAgreement">Share of positions with the same greatest logit, 0 to 1.</param>
public sealed record VerificationCheck(string Mode, string Name, int Positions, double Difference, double Bound, double GreatestDifference, double ArgmaxAgreement);
