using ModelSdk.Compiler.Stages;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Voting;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>
/// Measures parallel reasoning (paper 5): the greatest number of streams is sampled once a seed, with the verifier's judgement of each answer; votes of
/// fewer streams are those of disjoint groups of the same samples, and policies that watch votes are replayed on them.
/// </summary>
internal static class StreamExamination
{
    private const int LiveQuestions = 100;
    private const int FailuresShown = 3;

    /// <summary>What it gives.</summary>
    /// <param name="Parallel">Votes by number of streams.</param>
    /// <param name="EarlyStopping">Policies at the greatest number.</param>
    /// <param name="Verifier">The verifier's judgement; null without one.</param>
    public sealed record Results(IReadOnlyList<ParallelResult> Parallel, IReadOnlyList<EarlyStoppingResult> EarlyStopping, VerifierResult? Verifier);

    /// <summary>The policies that are measured, each alone and then together.</summary>
    public static IReadOnlyList<(string Name, VotingOptions Voting)> Policies { get; } =
    [
        ("stop when it cannot flip, 1 at a time", new VotingOptions { StopWhenDecided = 1, Concurrency = 1 }),
        ("stop when it cannot flip, 2 at a time", new VotingOptions { StopWhenDecided = 1, Concurrency = 2 }),
        ("stop at 95% probability, 2 at a time", new VotingOptions { StopWhenDecided = 0.95, Concurrency = 2 }),
        ("stop at 90% probability, 2 at a time", new VotingOptions { StopWhenDecided = 0.9, Concurrency = 2 }),
        ("stop at 85% probability, 2 at a time", new VotingOptions { StopWhenDecided = 0.85, Concurrency = 2 }),
        ("stop at 90% probability, 1 at a time", new VotingOptions { StopWhenDecided = 0.9, Concurrency = 1 }),
        ("stop at 85% probability, 1 at a time", new VotingOptions { StopWhenDecided = 0.85, Concurrency = 1 }),
        ("drop below 0.1 confidence", new VotingOptions { DropBelow = 0.1 }),
        ("probe until 2 agree", new VotingOptions { ProbeStable = 2 }),
        ("drop below 0.1, stop at 90%, 2 at a time", new VotingOptions { DropBelow = 0.1, StopWhenDecided = 0.9, Concurrency = 2 }),
    ];

    /// <summary>Samples, votes, replays.</summary>
    /// <param name="examiner">The draft.</param>
    /// <param name="adapter">The adapter's name.</param>
    /// <param name="mode">Its mode.</param>
    /// <param name="questions">Questions that one answer often misses.</param>
    /// <param name="settings">Streams, temperature, seeds.</param>
    /// <param name="seed">The manifest's.</param>
    /// <param name="timings">Takes the seconds of each part.</param>
    /// <param name="progress">Title, text and share of one examination.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<Results> RunAsync(
        Examiner examiner,
        string adapter,
        string mode,
        IReadOnlyList<Question> questions,
        EvaluationSettings settings,
        long seed,
        StageTimings timings,
        Func<string, Action<string, double>> progress,
        CancellationToken cancellationToken)
    {
        int most = settings.Streams.Max();
        BundleManifest bundle = examiner.Model.Bundle;
        bool verified = bundle.Adapters.Single(a => a.Name == mode).Verifier is not null;
        List<IReadOnlyList<Examined>> seeds = [];
        List<RecordedStream[][]> recorded = []; // [seed][question][stream]
        using (timings.Time("streams"))
        {
            for (int s = 0; s < settings.Seeds; s++)
            {
                int repeat = s;
                Examination how = new(settings.MaxTokens)
                {
                    Temperature = settings.StreamTemperature,
                    Samples = most,
                    Seed = i => StreamSeed(seed, i, repeat),
                    Verified = verified,
                };
                IReadOnlyList<Examined> all = examiner.Examine(mode, questions, how, progress($"{adapter}, {most} streams, seed {s + 1} of {settings.Seeds}"));
                seeds.Add(all);
                recorded.Add([.. all.Chunk(most).Select(q => q.Select(e => Record(bundle.Answer, e)).ToArray())]);
            }
        }

        List<ParallelResult> parallel = [.. settings.Streams.Distinct().Order().Select(n => Votes(adapter, n, recorded, verified))];
        List<EarlyStoppingResult> stopping = [];
        if (most > 1)
        {
            stopping.Add(Replay(adapter, "none", most, VotingOptions.Default, recorded));
            foreach ((string name, VotingOptions voting) in Policies.Where(p => StreamReplay.CanReplay(p.Voting)))
            {
                stopping.Add(Replay(adapter, name, most, voting, recorded));
            }

            using (timings.Time("early stopping"))
            {
                int[] chosen = [.. Spread(questions.Count, LiveQuestions)];
                foreach ((string name, VotingOptions voting) in Policies.Where(p => !StreamReplay.CanReplay(p.Voting)))
                {
                    stopping.Add(await LiveAsync(examiner, adapter, mode, name, most, voting, questions, chosen, recorded[0], settings, seed, progress($"{adapter}, {name}"), cancellationToken).ConfigureAwait(false));
                }
            }
        }

        return new Results(parallel, stopping, verified ? Judge(adapter, questions, seeds) : null);
    }

    // A call with this seed samples the same streams.
    private static ulong StreamSeed(long seed, int question, int repeat) => Seeds.Of(seed, Seeds.Streams, question, repeat);

    private static RecordedStream Record(BundleAnswer type, Examined e) => new(
        e.Sequence.GeneratedTokens,
        e.Sequence.Finish == FinishReason.MaxTokens ? null : AnswerNormalizer.Normalize(type, e.Sequence.Text),
        e.Sequence.Score ?? 1,
        e.Scored.Right);

    private static ParallelResult Votes(string adapter, int streams, List<RecordedStream[][]> seeds, bool verified)
    {
        VotingOptions majority = new() { Weighted = false };
        List<double> single = [.. seeds.Select(s => Statistics.Mean([.. s.SelectMany(q => q).Select(r => r.Right ? 1.0 : 0)]))];
        List<double> equal = [.. seeds.Select(s => Accuracy(s, majority))];
        List<double>? weighted = verified ? [.. seeds.Select(s => Accuracy(s, VotingOptions.Default))] : null;
        double tokens = Statistics.Mean([.. seeds.SelectMany(s => Groups(s)).Select(g => (double)g.Sum(r => r.Tokens))]);
        return new ParallelResult(
            adapter,
            streams,
            Statistics.Round(Statistics.Mean(single)),
            Statistics.Round(Statistics.Mean(equal)),
            weighted is null ? null : Statistics.Round(Statistics.Mean(weighted)),
            Statistics.Round(tokens),
            new VoteSpread(Statistics.Round(Statistics.Deviation(single)), Statistics.Round(Statistics.Deviation(equal)), weighted is null ? null : Statistics.Round(Statistics.Deviation(weighted))));

        // Disjoint groups of so many of a question's samples; a rest that fills none is left out.
        IEnumerable<RecordedStream[]> Groups(RecordedStream[][] questions) => questions.SelectMany(q => q.Chunk(streams).Where(g => g.Length == streams));

        double Accuracy(RecordedStream[][] questions, VotingOptions voting) =>
            Statistics.Mean([.. questions.Select(q => Statistics.Mean([.. Groups([q]).Select(g => StreamReplay.Vote(g, voting).Right ? 1.0 : 0)]))]);
    }

    private static EarlyStoppingResult Replay(string adapter, string name, int streams, VotingOptions voting, List<RecordedStream[][]> seeds)
    {
        VoteOutcome[] with = [.. seeds.SelectMany(s => s).Select(q => StreamReplay.Vote(q, voting))];
        VoteOutcome[] without = [.. seeds.SelectMany(s => s).Select(q => StreamReplay.Vote(q, VotingOptions.Default))];
        return Compare(adapter, name, streams, with, without, seeds[0].Length, seeds.Count);
    }

    private static async Task<EarlyStoppingResult> LiveAsync(
        Examiner examiner,
        string adapter,
        string mode,
        string name,
        int streams,
        VotingOptions voting,
        IReadOnlyList<Question> questions,
        int[] chosen,
        RecordedStream[][] recorded,
        EvaluationSettings settings,
        long seed,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        ReasoningResult[] results = new ReasoningResult[chosen.Length];
        int done = 0;
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, chosen.Length, parallel, async (i, token) =>
        {
            ReasoningRequest request = new()
            {
                Turns = questions[chosen[i]].Turns,
                Mode = mode,
                MaxTokens = settings.MaxTokens,
                Streams = streams,
                Voting = voting,
                Sampling = new SamplingOptions { Temperature = settings.StreamTemperature, Seed = unchecked((long)StreamSeed(seed, chosen[i], 0)) },
            };
            results[i] = await examiner.Model.AnswerAsync(request, token).ConfigureAwait(false);
            int count = Interlocked.Increment(ref done);
            progress($"{count} of {chosen.Length} questions", (double)count / chosen.Length);
        }).ConfigureAwait(false);
        IReadOnlyList<double> scores = examiner.Grader.Grade(
            [.. results.Select((r, i) => new GradedAnswer($"{questions[chosen[i]].Line}", questions[chosen[i]].Text, questions[chosen[i]].Expected, r.Text, r.Text))],
            cancellationToken);
        return Compare(
            adapter,
            name,
            streams,
            [.. results.Zip(scores, (r, score) => new VoteOutcome(score >= 0.5, r.Usage.GeneratedTokens))],
            [.. chosen.Select(i => StreamReplay.Vote(recorded[i], VotingOptions.Default))],
            chosen.Length,
            1);
    }

    private static EarlyStoppingResult Compare(string adapter, string name, int streams, VoteOutcome[] with, VoteOutcome[] without, int questions, int seeds) => new(
        adapter,
        name,
        streams,
        Statistics.Round(Statistics.Mean([.. with.Select(o => o.Right ? 1.0 : 0)])),
        Statistics.Round(Statistics.Mean([.. with.Select(o => (double)o.Tokens)])),
        Statistics.Round(1 - (with.Sum(o => (double)o.Tokens) / Math.Max(1, without.Sum(o => (double)o.Tokens)))),
        Statistics.Round(Statistics.Mean([.. without.Select(o => o.Right ? 1.0 : 0)])),
        questions,
        seeds);

    private static VerifierResult Judge(string adapter, IReadOnlyList<Question> questions, List<IReadOnlyList<Examined>> seeds)
    {
        List<Examined> all = [.. seeds.SelectMany(s => s)];
        double[] scores = [.. all.Select(e => e.Sequence.Score!.Value)];
        bool[] right = [.. all.Select(e => e.Scored.Right)];
        List<double> within =
        [
            .. seeds.SelectMany(s => s.GroupBy(e => e.Question))
                .Where(g => g.Any(e => e.Scored.Right) && g.Any(e => !e.Scored.Right))
                .Select(g => Statistics.Auc([.. g.Select(e => e.Sequence.Score!.Value)], [.. g.Select(e => e.Scored.Right)])),
        ];
        return new VerifierResult(
            adapter,
            Statistics.Round(Statistics.Auc(scores, right)),
            Statistics.Round(within.Count == 0 ? 0.5 : Statistics.Mean(within)),
            all.Count,
            Statistics.Round(Statistics.Mean([.. right.Select(r => r ? 1.0 : 0)])),
            [
                .. all.Zip(scores).OrderByDescending(p => Math.Abs(p.Second - (p.First.Scored.Right ? 1 : 0))).Take(FailuresShown)
                    .Select(p => Failures.Of(questions[p.First.Question], p.First.Scored, FormattableString.Invariant($"found right with {p.Second:F3}"))),
            ]);
    }

    // So many of the questions, evenly over the data.
    private static IEnumerable<int> Spread(int count, int most) => Enumerable.Range(0, Math.Min(most, count)).Select(i => (int)((long)i * count / Math.Min(most, count)));
}
