using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>
/// Measures the switcher on easy and hard questions (paper 3). Each question is routed once, and answered once by the base and once by the adapter
/// that the switcher likes best; what any threshold gives follows from that.
/// </summary>
internal static class SwitcherExamination
{
    private const int Steps = 20;
    private const double KeptGain = 0.95;
    private const int FailuresShown = 3;

    /// <summary>Routes and asks.</summary>
    /// <param name="examiner">A bundle with a switcher.</param>
    /// <param name="questions">Mixed questions, each with the mode that shall answer.</param>
    /// <param name="maxTokens">Most tokens of an answer.</param>
    /// <param name="progress">Title, text and share of one examination.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<SwitcherResult> RunAsync(
        Examiner examiner,
        IReadOnlyList<Question> questions,
        int maxTokens,
        Func<string, Action<string, double>> progress,
        CancellationToken cancellationToken)
    {
        // The threshold 0 lets every question be reasoned about, so that the route names the adapter that the switcher likes best.
        Routing[] routes = await RouteAsync(examiner.Model, questions, 0, progress("switcher, routing"), cancellationToken).ConfigureAwait(false);
        Examination how = new(maxTokens);
        IReadOnlyList<ScoredAnswer> direct = examiner.Ask(BundleManifest.BaseMode, questions, how, progress("switcher, base"));
        ScoredAnswer[] reasoned = AskRouted(examiner, questions, routes, how, progress);
        return Sum(questions, routes, [.. questions.Select(q => examiner.Encoder.Prompt(q.Turns).Length)], direct, reasoned);
    }

    /// <summary>Answers in mode <c>auto</c>, at the bundle's threshold.</summary>
    public static async Task<IReadOnlyList<ScoredAnswer>> AskAsync(Examiner examiner, IReadOnlyList<Question> questions, Examination how, Func<string, Action<string, double>> progress, CancellationToken cancellationToken) =>
        AskRouted(examiner, questions, await RouteAsync(examiner.Model, questions, null, progress("auto, routing"), cancellationToken).ConfigureAwait(false), how, progress);

    /// <summary>Sums up what was routed and answered.</summary>
    internal static SwitcherResult Sum(IReadOnlyList<Question> questions, IReadOnlyList<Routing> routes, IReadOnlyList<int> lengths, IReadOnlyList<ScoredAnswer> direct, IReadOnlyList<ScoredAnswer> reasoned)
    {
        bool[] reason = [.. questions.Select(q => q.Mode != BundleManifest.BaseMode)];
        double[] scores = [.. routes.Select(r => r.Score)];
        List<int> told = [.. Enumerable.Range(0, questions.Count).Where(i => reason[i])];
        SwitcherResult result = new()
        {
            Auc = Statistics.Round(Statistics.Auc(scores, reason)),
            LengthAuc = Statistics.Round(Statistics.Auc([.. lengths.Select(l => (double)l)], reason)),
            Examples = questions.Count,
            AdapterAccuracy = Statistics.Round(told.Count == 0 ? 1 : told.Count(i => routes[i].Mode == questions[i].Mode) / (double)told.Count),
            Base = ModeResult.Of(direct),
            Reasoning = ModeResult.Of(reasoned),
            Questions = [.. questions.Select((q, i) => new RoutedQuestion(scores[i], reason[i], direct[i].Right, direct[i].Tokens, reasoned[i].Right, reasoned[i].Tokens))],
            Curve = [],
            Frugal = null,
            Failures =
            [
                .. Enumerable.Range(0, questions.Count)
                    .OrderByDescending(i => Math.Abs(scores[i] - (reason[i] ? 1 : 0)))
                    .Take(FailuresShown)
                    .Select(i => Failures.Of(questions[i], scores[i] >= 0.5 ? reasoned[i] : direct[i], FormattableString.Invariant($"score {scores[i]:F3}, should be answered by {questions[i].Mode}"))),
            ],
        };
        double[] sorted = [.. scores.Order()];
        IEnumerable<double> thresholds = [0, .. Enumerable.Range(1, Steps - 1).Select(i => sorted[(int)((long)i * sorted.Length / Steps)]), 1];
        SwitcherPoint[] curve = [.. thresholds.Distinct().Order().Select(result.At)];
        double gain = result.Reasoning.Accuracy - result.Base.Accuracy;
        return result with
        {
            Curve = curve,
            Frugal = gain <= 0 ? null : curve.Where(p => p.Accuracy >= result.Base.Accuracy + (KeptGain * gain)).MinBy(p => p.MeanTokens),
        };
    }

    private static ScoredAnswer[] AskRouted(Examiner examiner, IReadOnlyList<Question> questions, Routing[] routes, Examination how, Func<string, Action<string, double>> progress)
    {
        ScoredAnswer[] answers = new ScoredAnswer[questions.Count];
        foreach (IGrouping<string, int> chosen in Enumerable.Range(0, questions.Count).GroupBy(i => routes[i].Mode).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            int[] indices = [.. chosen];
            IReadOnlyList<ScoredAnswer> some = examiner.Ask(chosen.Key, [.. indices.Select(i => questions[i])], how, progress($"switcher, {chosen.Key}"));
            for (int i = 0; i < indices.Length; i++)
            {
                answers[indices[i]] = some[i];
            }
        }

        return answers;
    }

    // One token is the least that a call generates.
    private static async Task<Routing[]> RouteAsync(ReasoningModel model, IReadOnlyList<Question> questions, double? threshold, Action<string, double> progress, CancellationToken cancellationToken)
    {
        Routing[] routes = new Routing[questions.Count];
        int done = 0;
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, questions.Count, parallel, async (i, token) =>
        {
            ReasoningRequest request = new() { Turns = questions[i].Turns, Mode = BundleManifest.AutoMode, SwitcherThreshold = threshold, MaxTokens = 1 };
            routes[i] = (await model.AnswerAsync(request, token).ConfigureAwait(false)).Routing!;
            int count = Interlocked.Increment(ref done);
            progress($"{count} of {questions.Count} prompts", (double)count / questions.Count);
        }).ConfigureAwait(false);
        return routes;
    }
}
