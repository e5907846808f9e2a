namespace ModelSdk.Compiler.Evaluation;

/// <summary>One mode on all questions.</summary>
/// <param name="Accuracy">Share of right answers, 0 to 1.</param>
/// <param name="MeanTokens">Mean generated tokens, reasoning and answer.</param>
/// <param name="MedianTokens">Median generated tokens.</param>
/// <param name="Examples">Questions.</param>
/// <param name="Low">Lower end of the 95% Wilson interval of the accuracy.</param>
/// <param name="High">Upper end.</param>
/// <param name="Unfinished">Share of answers that hit the token limit, 0 to 1.</param>
public sealed record ModeResult(double Accuracy, double MeanTokens, double MedianTokens, int Examples, double Low, double High, double Unfinished)
{
    /// <summary>Share of answers of at most as many tokens as the stated budget, 0 to 1; null where none was stated.</summary>
    public double? WithinBudget { get; init; }

    /// <summary>Sums up the answers of one mode.</summary>
    /// <param name="answers">One a question.</param>
    /// <param name="budget">The budget that was stated, or null.</param>
    public static ModeResult Of(IReadOnlyCollection<ScoredAnswer> answers, int? budget = null)
    {
        ArgumentNullException.ThrowIfNull(answers);
        int right = answers.Count(a => a.Right);
        int[] tokens = [.. answers.Select(a => a.Tokens)];
        (double low, double high) = Statistics.Wilson(right, answers.Count);
        return new ModeResult(
            Statistics.Round(answers.Count == 0 ? 0 : (double)right / answers.Count),
            Statistics.Round(tokens.Length == 0 ? 0 : tokens.Average()),
            Statistics.Median(tokens),
            answers.Count,
            Statistics.Round(low),
            Statistics.Round(high),
            Statistics.Round(answers.Count == 0 ? 0 : answers.Count(a => !a.Finished) / (double)answers.Count))
        {
            WithinBudget = budget is int most && answers.Count > 0 ? Statistics.Round(answers.Count(a => a.Tokens <= most) / (double)answers.Count) : null,
        };
    }
}

/// <summary>One mode, sampled with several seeds.</summary>
/// <param name="Accuracy">Mean over seeds of the share of right answers, 0 to 1.</param>
/// <param name="Spread">Standard deviation of that share over the seeds; 0 with one seed.</param>
/// <param name="MeanTokens">Mean generated tokens over all answers.</param>
/// <param name="TokensSpread">Standard deviation of the mean over the seeds.</param>
/// <param name="WithinBudget">Share of answers within the stated budget, over all answers, 0 to 1.</param>
/// <param name="Accuracies">The share of right answers of each seed.</param>
public sealed record SampledResult(double Accuracy, double Spread, double MeanTokens, double TokensSpread, double WithinBudget, IReadOnlyList<double> Accuracies)
{
    /// <summary>Sums up the answers of each seed.</summary>
    /// <param name="seeds">At least one; the same questions each.</param>
    /// <param name="budget">The budget that was stated.</param>
    internal static SampledResult Of(IReadOnlyList<IReadOnlyList<ScoredAnswer>> seeds, int budget)
    {
        List<double> accuracies = [.. seeds.Select(s => Statistics.Mean([.. s.Select(a => a.Right ? 1.0 : 0)]))];
        List<double> tokens = [.. seeds.Select(s => Statistics.Mean([.. s.Select(a => (double)a.Tokens)]))];
        return new SampledResult(
            Statistics.Round(Statistics.Mean(accuracies)),
            Statistics.Round(Statistics.Deviation(accuracies)),
            Statistics.Round(Statistics.Mean(tokens)),
            Statistics.Round(Statistics.Deviation(tokens)),
            Statistics.Round(Statistics.Mean([.. seeds.SelectMany(s => s).Select(a => a.Tokens <= budget ? 1.0 : 0)])),
            [.. accuracies.Select(Statistics.Round)]);
    }
}
