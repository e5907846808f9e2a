using System.Diagnostics;
using System.Globalization;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>How questions are put to a mode.</summary>
/// <param name="MaxTokens">Most tokens of an answer with its reasoning.</param>
internal sealed record Examination(int MaxTokens)
{
    /// <summary>Tokens that the prompt states; null states none.</summary>
    public int? Stated { get; init; }

    /// <summary>Tokens at which the reasoning is cut and the answer forced; null cuts nothing.</summary>
    public int? Cut { get; init; }

    /// <summary>Sampling temperature; 0 is greedy.</summary>
    public double Temperature { get; init; }

    /// <summary>Answers to each question; more than one needs a temperature.</summary>
    public int Samples { get; init; } = 1;

    /// <summary>The seed of the question with this index; null is for greedy answers.</summary>
    public Func<int, ulong>? Seed { get; init; }

    /// <summary>Whether the adapter's verifier judges each answer.</summary>
    public bool Verified { get; init; }
}

/// <summary>One answer of an examination.</summary>
/// <param name="Question">Index of the question.</param>
/// <param name="Sample">Number among the question's answers.</param>
/// <param name="Sequence">What was generated.</param>
/// <param name="Scored">The answer with its grade.</param>
internal sealed record Examined(int Question, int Sample, BatchSequence Sequence, ScoredAnswer Scored);

/// <summary>
/// Puts questions to a loaded model, many at once: each prompt is encoded once, its samples are decoded side by side, and both processors run
/// batches of their own. The same questions give the same answers, whatever else is measured.
/// </summary>
/// <param name="model">Loaded with one thread a session.</param>
/// <param name="encoder">The model's texts.</param>
/// <param name="grader">Says what is right.</param>
/// <param name="cancellationToken">Ends an examination.</param>
internal sealed class Examiner(ReasoningModel model, PromptEncoder encoder, IGrader grader, CancellationToken cancellationToken) : IDisposable
{
    // One at a time: the caches of a decoder hold keys and values of all its rows.
    private BatchDecoder? _decoder;
    private (string Mode, bool Verified) _decodes;

    /// <summary>The model.</summary>
    public ReasoningModel Model => model;

    /// <summary>The model's texts.</summary>
    public PromptEncoder Encoder => encoder;

    /// <summary>Says what is right.</summary>
    public IGrader Grader => grader;

    /// <summary>One answer to each question.</summary>
    public IReadOnlyList<ScoredAnswer> Ask(string mode, IReadOnlyList<Question> questions, Examination how, Action<string, double> progress) =>
        [.. Examine(mode, questions, how, progress).Select(e => e.Scored)];

    /// <summary>All answers, by question and sample.</summary>
    public IReadOnlyList<Examined> Examine(string mode, IReadOnlyList<Question> questions, Examination how, Action<string, double> progress)
    {
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<BatchSequence> sequences = Decoder(mode, how.Verified).Run(
            [.. questions.Select((q, i) => new BatchPrompt(encoder.Prompt(q.Turns, how.Stated), how.Samples, how.Cut, how.Seed?.Invoke(i) ?? 0))],
            new BatchOptions(encoder.GenerationPrompt(), new SamplingOptions { Temperature = how.Temperature }, how.MaxTokens),
            p => progress(
                string.Create(CultureInfo.InvariantCulture, $"{p.Finished} of {p.Sequences} answers, {p.Tokens / Stopwatch.GetElapsedTime(started).TotalSeconds:F0} tokens/s"),
                (double)p.Finished / Math.Max(1, p.Sequences)),
            cancellationToken);
        IReadOnlyList<double> scores = grader.Grade(
            [.. sequences.Select(s => new GradedAnswer($"{questions[s.Prompt].Line}", questions[s.Prompt].Text, questions[s.Prompt].Expected, s.Text, encoder.Output(s)))],
            cancellationToken);
        return
        [
            .. sequences.Zip(scores, (s, score) => new Examined(
                s.Prompt,
                s.Sample,
                s,
                new ScoredAnswer(s.Text, s.Reasoning, s.GeneratedTokens, score >= 0.5, s.Finish is FinishReason.Stop or FinishReason.StopText))),
        ];
    }

    public void Dispose() => _decoder?.Dispose();

    private BatchDecoder Decoder(string mode, bool verified)
    {
        if (_decoder is null || _decodes != (mode, verified))
        {
            _decoder?.Dispose();
            _decoder = null;
            _decoder = model.Loaded.Batch(model.Loaded.Sessions.IndexOf(mode), BatchDecoder.DefaultRows, Environment.ProcessorCount, verified);
            _decodes = (mode, verified);
        }

        return _decoder;
    }
}
