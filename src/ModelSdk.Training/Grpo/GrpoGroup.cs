using System.Globalization;
using ModelSdk.Manifest;

namespace ModelSdk.Training;

/// <summary>The samples of one question.</summary>
/// <param name="Prompt">Tokens before the generation prompt.</param>
/// <param name="Budget">Stated budget; null: none.</param>
/// <param name="Samples">Its samples.</param>
/// <param name="Compared">Samples whose rewards are compared and that are trained on; all, but those cut by maxTokens where they are masked.</param>
internal sealed record GrpoGroup(int[] Prompt, int? Budget, IReadOnlyList<GrpoSample> Samples, IReadOnlyList<GrpoSample> Compared)
{
    /// <summary>No two compared samples differ in reward.</summary>
    public bool IsFlat { get; } = GrpoReward.IsFlat([.. Compared.Select(s => s.Reward)]);

    /// <summary>Reads, grades and rewards the completions of all prompts.</summary>
    public static IReadOnlyList<GrpoGroup> Grade(GrpoDataset data, BudgetForcingSettings settings, GrpoDraw[] draws, RolloutPrompt[] prompts, IReadOnlyList<Rollout> rollouts, AnswerGrader grade)
    {
        GrpoOutput[] outputs = [.. rollouts.Select(r => data.Read(r.Ended ? new ArraySegment<int>(r.Tokens, 0, r.Tokens.Length - 1) : r.Tokens))];
        var scores = grade([.. rollouts.Select((r, i) =>
        {
            var question = data.Questions[draws[r.Prompt].Question];
            return new GradedAnswer(question.Line.ToString(CultureInfo.InvariantCulture), question.Text, question.Expected, outputs[i].Answer, outputs[i].Output);
        })]);
        if (scores.Count != rollouts.Count || scores.Any(s => !double.IsFinite(s) || s < 0 || s > 1))
        {
            throw new InvalidOperationException($"The grader must give {rollouts.Count} scores from 0 to 1.");
        }

        var samples = rollouts.Select((r, i) =>
        {
            // A completion that was cut is no answer, whatever stands there.
            double score = r.Ended ? scores[i] : 0;
            var budget = draws[r.Prompt].Budget;
            var length = r.Tokens.Length - (r.Ended ? 1 : 0);
            var counted = settings.Length == CountedLength.Think ? outputs[i].ThinkTokens : length;
            var cut = !r.Ended && prompts[r.Prompt].MaxTokens == settings.MaxTokens;
            return (r.Prompt, Sample: new GrpoSample(r, score, length, score * GrpoReward.Barrier(counted, budget, settings.Margin, settings.Floor)), Cut: cut);
        }).ToLookup(s => s.Prompt);
        return [.. draws.Select((draw, i) => new GrpoGroup(
            prompts[i].Tokens,
            draw.Budget,
            [.. samples[i].Select(s => s.Sample)],
            [.. samples[i].Where(s => !(s.Cut && settings.Truncated == TruncatedCompletions.Mask)).Select(s => s.Sample)]))];
    }
}

/// <summary>One sample.</summary>
/// <param name="Rollout">Tokens.</param>
/// <param name="Score">0 (wrong) to 1 (right).</param>
/// <param name="Length">Tokens without the end token.</param>
/// <param name="Reward">Score times soft barrier.</param>
internal sealed record GrpoSample(Rollout Rollout, double Score, int Length, double Reward);
