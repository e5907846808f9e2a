namespace ModelSdk.Compiler.Evaluation;

/// <summary>The switcher on a mixed set of easy and hard questions (paper 3).</summary>
public sealed record SwitcherResult
{
    /// <summary>How well its score tells questions for a reasoning mode from those for the base: area under the ROC curve.</summary>
    public required double Auc { get; init; }

    /// <summary>The same for the prompt's number of tokens alone: near one half when easy and hard prompts are matched in length.</summary>
    public required double LengthAuc { get; init; }

    /// <summary>Questions.</summary>
    public required int Examples { get; init; }

    /// <summary>Share of the questions with an adapter's mode that go to that adapter and no other, among those that are routed to any; 1 with one adapter.</summary>
    public required double AdapterAccuracy { get; init; }

    /// <summary>
    /// The point of the curve with the fewest tokens that keeps 95% of the accuracy that reasoning adds to the base; null when reasoning adds nothing.
    /// </summary>
    public required SwitcherPoint? Frugal { get; init; }

    /// <summary>Routing against the threshold, thresholds ascending: from all questions reasoned about to (almost) none, in steps of a twentieth of the questions.</summary>
    public required IReadOnlyList<SwitcherPoint> Curve { get; init; }

    /// <summary>All questions answered by the base.</summary>
    public required ModeResult Base { get; init; }

    /// <summary>All questions answered by reasoning: by the adapter whose score is highest.</summary>
    public required ModeResult Reasoning { get; init; }

    /// <summary>Questions that the switcher judged worst, three at most.</summary>
    public required IReadOnlyList<FailedExample> Failures { get; init; }

    /// <summary>Each question's score and outcomes, in the data's order: what any threshold gives follows from them.</summary>
    public required IReadOnlyList<RoutedQuestion> Questions { get; init; }

    /// <summary>Median generated tokens at a threshold.</summary>
    internal double MedianTokensAt(double threshold) => Statistics.Median([.. Questions.Select(q => q.Score >= threshold ? q.ReasoningTokens : q.BaseTokens)]);

    /// <summary>What a threshold gives.</summary>
    public SwitcherPoint At(double threshold)
    {
        int routed = Questions.Count(q => q.Score >= threshold);
        return new SwitcherPoint(
            threshold,
            Statistics.Round((double)routed / Questions.Count),
            Statistics.Round(Statistics.Mean([.. Questions.Select(q => (q.Score >= threshold ? q.ReasoningRight : q.BaseRight) ? 1.0 : 0)])),
            Statistics.Round(Statistics.Mean([.. Questions.Select(q => (double)(q.Score >= threshold ? q.ReasoningTokens : q.BaseTokens))])));
    }
}

/// <summary>One question of the mixed set.</summary>
/// <param name="Score">The switcher's probability that it needs reasoning, 0 to 1.</param>
/// <param name="Reason">Whether the data says that it does.</param>
/// <param name="BaseRight">Whether the base answers it.</param>
/// <param name="BaseTokens">The base's generated tokens.</param>
/// <param name="ReasoningRight">Whether the likeliest adapter answers it.</param>
/// <param name="ReasoningTokens">The adapter's generated tokens.</param>
public sealed record RoutedQuestion(double Score, bool Reason, bool BaseRight, int BaseTokens, bool ReasoningRight, int ReasoningTokens);

/// <summary>One threshold of the switcher.</summary>
/// <param name="Threshold">A question is routed to reasoning when the switcher's score is at least this.</param>
/// <param name="RoutedShare">Share of the questions that were, 0 to 1.</param>
/// <param name="Accuracy">Share of right answers, 0 to 1.</param>
/// <param name="MeanTokens">Mean generated tokens.</param>
public sealed record SwitcherPoint(double Threshold, double RoutedShare, double Accuracy, double MeanTokens);

/// <summary>A verifier's judgement of sampled answers (paper 5).</summary>
/// <param name="Adapter">Whose answers.</param>
/// <param name="Auc">How well its score tells right answers from wrong ones: area under the ROC curve over all answers.</param>
/// <param name="WithinAuc">The same among the answers of one question, averaged over questions that got right and wrong ones: what a vote can use.</param>
/// <param name="Examples">Judged answers.</param>
/// <param name="Right">Share of them that are right, 0 to 1.</param>
/// <param name="Failures">Answers that it judged worst, three at most.</param>
public sealed record VerifierResult(string Adapter, double Auc, double WithinAuc, int Examples, double Right, IReadOnlyList<FailedExample> Failures);

/// <summary>Votes among parallel streams (paper 5), sampled without a stated budget; means over the seeds, and over disjoint groups of the samples of each.</summary>
/// <param name="Adapter">The adapter.</param>
/// <param name="Streams">Streams that vote.</param>
/// <param name="Single">Accuracy of one stream, 0 to 1: the same samples, no vote.</param>
/// <param name="Majority">Accuracy of the majority vote; a tie goes to the answer that was given first.</param>
/// <param name="Weighted">Accuracy of the vote weighted by the verifier; null without one.</param>
/// <param name="MeanTokens">Mean generated tokens a question, all streams together.</param>
/// <param name="Spread">Standard deviation over the seeds.</param>
public sealed record ParallelResult(string Adapter, int Streams, double Single, double Majority, double? Weighted, double MeanTokens, VoteSpread Spread);

/// <summary>Standard deviations over seeds of the accuracies of a <see cref="ParallelResult"/>.</summary>
/// <param name="Single">Of one stream.</param>
/// <param name="Majority">Of the majority vote.</param>
/// <param name="Weighted">Of the weighted vote; null without a verifier.</param>
public sealed record VoteSpread(double Single, double Majority, double? Weighted);

/// <summary>A policy that ends streams before all are done, against the vote of the same streams without it.</summary>
/// <param name="Adapter">The adapter.</param>
/// <param name="Policy">What it is, for a table; <c>none</c> is the vote without a policy.</param>
/// <param name="Streams">Streams that may run.</param>
/// <param name="Accuracy">Accuracy of the vote, 0 to 1; mean over the seeds.</param>
/// <param name="MeanTokens">Mean generated tokens a question, all streams together: those of ended streams and of probes included.</param>
/// <param name="SavedShare">Share of the tokens of the vote without a policy that were not generated, 0 to 1; below 0 when more were.</param>
/// <param name="Unstopped">Accuracy of the vote without a policy on the same questions and seeds.</param>
/// <param name="Examples">Questions.</param>
/// <param name="Seeds">Sampling seeds.</param>
public sealed record EarlyStoppingResult(string Adapter, string Policy, int Streams, double Accuracy, double MeanTokens, double SavedShare, double Unstopped, int Examples, int Seeds);

/// <summary>A gate of the manifest, judged.</summary>
/// <param name="Name">The property in <c>evaluation.gates</c>, such as <c>minAccuracy</c>.</param>
/// <param name="Threshold">What the manifest asks for.</param>
/// <param name="Measured">What was measured; null when nothing was, which fails the gate.</param>
/// <param name="Passed">Whether it holds.</param>
public sealed record GateResult(string Name, double Threshold, double? Measured, bool Passed);
