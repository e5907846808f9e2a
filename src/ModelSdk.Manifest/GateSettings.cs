namespace ModelSdk.Manifest;

/// <summary>
/// Limits on what evaluation measures; one that is not kept fails the compile. All default null: no limit. They judge
/// the deployed form of the default mode; where that is the base or the switcher, of the first adapter.
/// </summary>
public sealed record GateSettings
{
    /// <summary>Least share of right answers, greedy, 0 to 1.</summary>
    public double? MinAccuracy { get; init; }

    /// <summary>Most generated tokens an answer, on average, greedy; above 0.</summary>
    public double? MaxMeanTokens { get; init; }

    /// <summary>Least factor by which budget forcing shortens the mean length after fine-tuning, with a budget stated; above 0. The paper has 2.38 (paper 4).</summary>
    public double? MinLengthReduction { get; init; }

    /// <summary>Least share of answers within the stated budget, 0 to 1.</summary>
    public double? MinWithinBudget { get; init; }

    /// <summary>Least area under the curve of the switcher on <see cref="EvaluationSettings.SwitcherData"/>, 0 to 1.</summary>
    public double? MinSwitcherAuc { get; init; }

    /// <summary>Least area under the curve of the verifier on the streams that were measured, 0 to 1.</summary>
    public double? MinVerifierAuc { get; init; }
}
