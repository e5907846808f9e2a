using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>One adapter: after SFT, after budget forcing where it has that stage, and as shipped. All in ONNX Runtime, but for <see cref="Torch"/>.</summary>
public sealed record AdapterResult
{
    /// <summary>After SFT; greedy, no budget stated.</summary>
    public required ModeResult Sft { get; init; }

    /// <summary>After budget forcing; greedy, no budget stated. Null when the adapter has no budget stage.</summary>
    public ModeResult? Budget { get; init; }

    /// <summary>As shipped: <see cref="Budget"/>, or <see cref="Sft"/> where there is none.</summary>
    [JsonIgnore]
    public ModeResult Deployed => Budget ?? Sft;

    /// <summary>The shipped form's LoRA in Torch, unquantized, on the dequantized base; greedy, no budget stated. What export and INT8 cost shows against it.</summary>
    public required ModeResult Torch { get; init; }

    /// <summary>Share of questions on which Torch and the deployed form are both right or both wrong, 0 to 1.</summary>
    public required double SameAnswers { get; init; }

    /// <summary>With the evaluation's budget stated; null when the manifest has no budget.</summary>
    public StatedBudgetResult? BudgetStated { get; init; }

    /// <summary>How much shorter budget forcing made the answers; null when the adapter has no budget stage.</summary>
    public LengthReduction? LengthReduction { get; init; }

    /// <summary>Lengths of the greedy answers, with the budget stated where there is one.</summary>
    public required LengthHistograms Lengths { get; init; }

    /// <summary>Examples for messages about gates: wrong answers, the longest, and those over the stated budget; three each at most.</summary>
    public required AdapterFailures Failures { get; init; }
}

/// <summary>An adapter's two forms with a budget stated in the prompt (paper 4). Soft: nothing cuts them at the budget.</summary>
/// <param name="Budget">The stated tokens.</param>
/// <param name="Sft">After SFT, greedy.</param>
/// <param name="BudgetForced">After budget forcing, greedy; null without that stage.</param>
/// <param name="Sampled">The same, sampled with several seeds.</param>
public sealed record StatedBudgetResult(int Budget, ModeResult Sft, ModeResult? BudgetForced, SampledForms Sampled);

/// <summary>Both forms of an adapter, sampled.</summary>
/// <param name="Sft">After SFT.</param>
/// <param name="BudgetForced">After budget forcing; null without that stage.</param>
public sealed record SampledForms(SampledResult Sft, SampledResult? BudgetForced);

/// <summary>Length after SFT divided by length after budget forcing, greedy, both with the budget stated where there is one.</summary>
/// <param name="Mean">Of the mean lengths.</param>
/// <param name="Max">The greatest of any one question.</param>
/// <param name="Budget">The budget that was stated; null for none.</param>
/// <param name="Sampled">Of the mean lengths of the sampled answers; null where nothing was sampled.</param>
public sealed record LengthReduction(double Mean, double Max, int? Budget, double? Sampled);

/// <summary>Lengths in tokens of both forms, over the same bins.</summary>
/// <param name="Edges">Bin i holds lengths from Edges[i] up to but not Edges[i + 1]; one more than there are counts.</param>
/// <param name="Sft">Answers a bin, after SFT.</param>
/// <param name="Budget">After budget forcing; null without that stage.</param>
public sealed record LengthHistograms(IReadOnlyList<int> Edges, IReadOnlyList<int> Sft, IReadOnlyList<int>? Budget);

/// <summary>Answers that an adapter's gates may complain about, as deployed.</summary>
/// <param name="Wrong">Wrong answers, the first in the data; no budget stated.</param>
/// <param name="Longest">The longest answers; no budget stated.</param>
/// <param name="LeastShortened">Answers whose length fell least by budget forcing; empty without that stage.</param>
/// <param name="OverBudget">Answers longer than the stated budget, the first in the data.</param>
public sealed record AdapterFailures(
    IReadOnlyList<FailedExample> Wrong,
    IReadOnlyList<FailedExample> Longest,
    IReadOnlyList<FailedExample> LeastShortened,
    IReadOnlyList<FailedExample> OverBudget);

/// <summary>A question on which something went wrong.</summary>
/// <param name="Question">The last user message.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="Answer">The model's.</param>
/// <param name="Tokens">Generated tokens, reasoning and answer.</param>
/// <param name="Note">What else there is to know, such as a score; null for nothing.</param>
public sealed record FailedExample(string Question, string Expected, string Answer, int Tokens, string? Note = null);

/// <summary>An adapter under a hard budget: stated, enforced by a cut, and then an answer forced, as the product does (paper 4).</summary>
/// <param name="Adapter">The adapter.</param>
/// <param name="Budget">Tokens.</param>
/// <param name="Sft">After SFT, greedy.</param>
/// <param name="BudgetForced">After budget forcing, greedy; null without that stage.</param>
public sealed record HardBudgetResult(string Adapter, int Budget, ModeResult Sft, ModeResult? BudgetForced);
