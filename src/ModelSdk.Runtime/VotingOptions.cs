namespace ModelSdk.Runtime;

/// <summary>How parallel streams vote (paper, section 5), and which of them may stop early. Each policy has its own switch, and all compose.</summary>
public sealed record VotingOptions
{
    /// <summary>Temperature of several streams whose request says greedy: the paper's.</summary>
    public const double DefaultTemperature = 0.7;

    /// <summary>A weighted vote of all streams, all at once.</summary>
    public static VotingOptions Default { get; } = new();

    /// <summary>
    /// Whether a stream's vote counts as much as the adapter's verifier finds it probable that its answer is right. Default true. False, or
    /// an adapter without a verifier: each vote counts 1 (majority), and no confidence is computed for a single stream.
    /// </summary>
    public bool Weighted { get; init; } = true;

    /// <summary>
    /// When to end the vote early: running streams stop and waiting ones never start. 0 (default) = never; 1 = only when the remaining streams
    /// cannot change the winner, whatever they say; a value between = also when the leading answer is the true leader with more than this
    /// posterior probability (<see cref="Voting.DecidedRule"/>; Adaptive-Consistency, arXiv 2305.11860, which uses 0.95 on plain
    /// counts; weights are smaller than counts, so 0.85 to 0.9 ends a vote about as early. The report's earlyStopping shows what each costs). Saves most with a <see cref="Concurrency"/> below the streams.
    /// </summary>
    public double StopWhenDecided { get; init; }

    /// <summary>
    /// Drops a stream as soon as its mean token confidence over the last <see cref="DropWindow"/> tokens falls below this, 0 to 1; it has no vote.
    /// A token's confidence is its probability at temperature 1. Null (default) = never. The last stream left is never dropped
    /// while there is no vote. After DeepConf (arXiv 2508.15260), <see cref="Voting.ConfidenceWindow"/>.
    /// </summary>
    public double? DropBelow { get; init; }

    /// <summary>
    /// Tokens of the sliding window of <see cref="DropBelow"/>; a shorter stream is never dropped. Default 1, for short and terse traces, in which a
    /// single unlikely token tells most and a mean over many hides it; the report's earlyStopping shows what it costs. DeepConf takes 2048 on traces of tens of thousands.
    /// </summary>
    public int DropWindow { get; init; } = 1;

    /// <summary>
    /// Ends a stream's reasoning when answers forced at the ends of its sentences and lines were the same this many times in a row. 0 (default) = no
    /// probes; 2 or 3 are good values. A probe costs the tokens of an answer. The only policy that works for a single stream too. After DEER (arXiv 2504.15895), <see cref="Voting.StableAnswer"/>.
    /// </summary>
    public int ProbeStable { get; init; }

    /// <summary>
    /// Most streams that run at the same time; when one ends, the next one starts. 0 (default) = all at once, which is the fastest when no stream stops early.
    /// Also bounds memory: each running stream holds a KV cache of its own.
    /// </summary>
    public int Concurrency { get; init; }
}
