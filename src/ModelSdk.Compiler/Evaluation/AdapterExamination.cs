using ModelSdk.Compiler.Stages;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>The two forms of an adapter as modes of a draft bundle.</summary>
/// <param name="Name">The adapter.</param>
/// <param name="Sft">The mode that is as SFT left it.</param>
/// <param name="Shipped">The mode that is shipped: after budget forcing; the same as <paramref name="Sft"/> without that stage.</param>
internal sealed record AdapterForms(string Name, string Sft, string Shipped)
{
    /// <summary>Whether budget forcing made a form of its own.</summary>
    public bool Forced => Sft != Shipped;
}

/// <summary>Everything that is asked of one adapter on the evaluation data (paper 2, 4).</summary>
internal static class AdapterExamination
{
    /// <summary>What was asked, answer by answer.</summary>
    /// <param name="Sft">After SFT; greedy, no budget stated.</param>
    /// <param name="Shipped">As shipped, the same.</param>
    /// <param name="SftStated">After SFT with the budget stated; null where none is.</param>
    /// <param name="ShippedStated">As shipped with the budget stated; null where none is.</param>
    /// <param name="Result">Summed up, Torch aside.</param>
    public sealed record Answers(
        IReadOnlyList<ScoredAnswer> Sft,
        IReadOnlyList<ScoredAnswer> Shipped,
        IReadOnlyList<ScoredAnswer>? SftStated,
        IReadOnlyList<ScoredAnswer>? ShippedStated,
        AdapterResult Result);

    /// <summary>Greedy; then with the budget stated, greedy and sampled.</summary>
    /// <param name="examiner">The draft.</param>
    /// <param name="forms">The adapter.</param>
    /// <param name="questions">Evaluation data.</param>
    /// <param name="settings">Token limit, temperature and seeds.</param>
    /// <param name="budget">Tokens to state; null for none.</param>
    /// <param name="seed">The manifest's.</param>
    /// <param name="torch">The shipped form in Torch.</param>
    /// <param name="timings">Takes the seconds of each part.</param>
    /// <param name="progress">Title, text and share of one examination.</param>
    public static Answers Run(
        Examiner examiner,
        AdapterForms forms,
        IReadOnlyList<Question> questions,
        EvaluationSettings settings,
        int? budget,
        long seed,
        IReadOnlyList<ScoredAnswer> torch,
        StageTimings timings,
        Func<string, Action<string, double>> progress)
    {
        // Both forms; where there is one only, it is asked once.
        (T Sft, T Shipped) Both<T>(string title, Func<string, Action<string, double>, T> ask)
        {
            T sft = ask(forms.Sft, progress(forms.Forced ? $"{forms.Name} after sft, {title}" : $"{forms.Name}, {title}"));
            return (sft, forms.Forced ? ask(forms.Shipped, progress($"{forms.Name}, {title}")) : sft);
        }

        Examination plain = new(settings.MaxTokens);
        (IReadOnlyList<ScoredAnswer> Sft, IReadOnlyList<ScoredAnswer> Shipped) free;
        using (timings.Time("greedy"))
        {
            free = Both("greedy", (mode, report) => examiner.Ask(mode, questions, plain, report));
        }

        (IReadOnlyList<ScoredAnswer> Sft, IReadOnlyList<ScoredAnswer> Shipped)? stated = null;
        StatedBudgetResult? result = null;
        double? sampledReduction = null;
        if (budget is int tokens)
        {
            using (timings.Time("stated"))
            {
                stated = Both($"{tokens} tokens stated", (mode, report) => examiner.Ask(mode, questions, plain with { Stated = tokens }, report));
            }

            using (timings.Time("sampled"))
            {
                (IReadOnlyList<IReadOnlyList<ScoredAnswer>> sft, IReadOnlyList<IReadOnlyList<ScoredAnswer>> shipped) = Both($"{tokens} tokens stated, sampled", (mode, report) =>
                    Sampled(examiner, mode, questions, plain with { Stated = tokens, Temperature = settings.Temperature }, settings.Seeds, seed, report));
                SampledResult before = SampledResult.Of(sft, tokens);
                SampledResult after = SampledResult.Of(shipped, tokens);
                sampledReduction = before.MeanTokens / Math.Max(1, after.MeanTokens);
                result = new StatedBudgetResult(
                    tokens,
                    ModeResult.Of(stated.Value.Sft, tokens),
                    forms.Forced ? ModeResult.Of(stated.Value.Shipped, tokens) : null,
                    new SampledForms(before, forms.Forced ? after : null));
            }
        }

        (IReadOnlyList<ScoredAnswer> Sft, IReadOnlyList<ScoredAnswer> Shipped) compared = stated ?? free;
        double same = questions.Count == 0 ? 1 : torch.Zip(free.Shipped).Count(p => p.First.Right == p.Second.Right) / (double)questions.Count;
        return new Answers(free.Sft, free.Shipped, stated?.Sft, stated?.Shipped, new AdapterResult
        {
            Sft = ModeResult.Of(free.Sft),
            Budget = forms.Forced ? ModeResult.Of(free.Shipped) : null,
            Torch = ModeResult.Of(torch),
            SameAnswers = Statistics.Round(same),
            BudgetStated = result,
            LengthReduction = forms.Forced ? Lengths.Reduction(compared.Sft, compared.Shipped, budget, sampledReduction) : null,
            Lengths = Lengths.Of(compared.Sft, forms.Forced ? compared.Shipped : null),
            Failures = new AdapterFailures(
                Failures.Wrong(questions, free.Shipped),
                Failures.Longest(questions, free.Shipped),
                forms.Forced ? Failures.LeastShortened(questions, compared.Sft, compared.Shipped) : [],
                stated is null ? [] : Failures.OverBudget(questions, stated.Value.Shipped, budget!.Value)),
        });
    }

    /// <summary>Both forms under hard budgets, ascending: stated, cut there, and the answer forced.</summary>
    public static IReadOnlyList<HardBudgetResult> HardBudgets(
        Examiner examiner,
        AdapterForms forms,
        IReadOnlyList<Question> questions,
        IEnumerable<int> budgets,
        int maxTokens,
        Func<string, Action<string, double>> progress)
    {
        ModeResult Ask(string mode, int budget) => ModeResult.Of(
            examiner.Ask(mode, questions, new Examination(maxTokens) { Stated = budget, Cut = budget }, progress($"{mode}, hard budget of {budget}")));
        return [.. budgets.Distinct().Order().Select(b => new HardBudgetResult(forms.Name, b, Ask(forms.Sft, b), forms.Forced ? Ask(forms.Shipped, b) : null))];
    }

    /// <summary>Sampled answers, seed by seed.</summary>
    public static IReadOnlyList<IReadOnlyList<ScoredAnswer>> Sampled(Examiner examiner, string mode, IReadOnlyList<Question> questions, Examination how, int seeds, long seed, Action<string, double> progress)
    {
        // The seeds are samples of one encoded prompt: the same as asking once a seed, but for the encoding.
        IReadOnlyList<Examined> all = examiner.Examine(mode, questions, how with { Samples = seeds, Seed = i => Seeds.Of(seed, Seeds.Stated, i) }, progress);
        return [.. Enumerable.Range(0, seeds).Select(s => (IReadOnlyList<ScoredAnswer>)[.. all.Where(e => e.Sample == s).Select(e => e.Scored)])];
    }
}
