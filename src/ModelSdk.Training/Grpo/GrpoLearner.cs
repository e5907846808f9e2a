using ModelSdk.Manifest;
using ModelSdk.Training.Kernels;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>What the gradient of one step is about.</summary>
/// <param name="Tokens">Trained tokens.</param>
/// <param name="Loss">Loss.</param>
/// <param name="Kl">Mean k3 estimate, a token.</param>
/// <param name="Clipped">Share of tokens whose ratio was clipped.</param>
/// <param name="Disagreement">Mean |sampler - trainer| of a token's log-probability.</param>
internal sealed record GrpoGradient(int Tokens, double Loss, double Kl, double Clipped, double Disagreement)
{
    /// <summary>Of a step without differing rewards.</summary>
    public static GrpoGradient None { get; } = new(0, 0, 0, 0, 0);
}

/// <summary>
/// Forward and backward over the completions of a step: prompts are encoded once by the base (masked LoRA), completions run in rectangles
/// of similar length, and the loss is the sum over all tokens of the step divided by their number (DAPO), so that long completions
/// weigh as many tokens as they have.
/// </summary>
internal sealed class GrpoLearner(Transformer model, LoraModule policy, GrpoReference? reference, GrpoDataset data, GrpoOptions options, BudgetForcingSettings settings)
{
    /// <summary>Adds the gradients of the step to those of the policy.</summary>
    /// <param name="groups">Groups with differing rewards.</param>
    public GrpoGradient Backward(IReadOnlyList<GrpoGroup> groups)
    {
        var masked = options.Adapter.Masked;
        var advantages = GrpoReward.Advantages([.. groups.Select(g => g.Compared.Select(s => s.Reward).ToArray())], settings.Advantage);
        var items = groups.SelectMany((g, i) => g.Compared.Select((s, n) => new Item(
            masked ? i : 0,
            masked ? [.. data.GenerationPrompt, .. s.Rollout.Tokens] : [.. g.Prompt, .. data.GenerationPrompt, .. s.Rollout.Tokens],
            s.Rollout,
            advantages[i][n]))).ToArray();
        int[][] prompts = masked ? [.. groups.Select(g => g.Prompt)] : [[]];
        int[] used = [.. Enumerable.Range(0, prompts.Length)];
        using var cache = new PromptCache(model, prompts, [used], long.MaxValue);
        var keysAndValues = cache.Prepare(0, used);

        var tokens = items.Sum(i => i.Rollout.Tokens.Length);
        double loss = 0, kl = 0, clipped = 0, disagreement = 0;
        foreach (var batch in MicroBatches.Split(items, i => i.Row.Length, options.MicroBatchTokens))
        {
            using var inner = NewDisposeScope();
            var part = Run(batch, [.. batch.Select(i => keysAndValues[i.Prompt])], 1.0 / tokens, out var value);
            value.backward();
            loss += value.item<float>();
            for (var row = 0; row < part.Targets.Length; row++)
            {
                var (_, _, divergence, wasClipped) = part.Token(row, part.Found[row]);
                kl += divergence / tokens;
                clipped += wasClipped ? 1.0 / tokens : 0;
                disagreement += Math.Abs((double)part.Found[row] - part.Old[row]) / tokens;
            }
        }

        return new GrpoGradient(tokens, loss, kl, clipped, disagreement);
    }

    private PolicyLoss Run(Item[] batch, Tensor[] prompts, double scale, out Tensor value)
    {
        int[][] rows = [.. batch.Select(i => i.Row[..^1])]; // the last token is predicted, never read
        var weights = policy.ComputeWeights();
        var starts = MaskedForward.Starts(model, weights, rows, prompts);
        var places = new List<long>();
        foreach (var (item, row) in batch.Select((item, row) => (item, row)))
        {
            places.AddRange(Enumerable.Range(item.Row.Length - item.Rollout.Tokens.Length - 1, item.Rollout.Tokens.Length).Select(t => starts[row] + t));
        }

        long[] at = [.. places], targets = [.. batch.SelectMany(i => i.Rollout.Tokens).Select(t => (long)t)];
        float[]? referenceLogProbs = null;
        if (reference is not null)
        {
            using var gradients = no_grad();
            using var scope = NewDisposeScope();
            var frozen = MaskedForward.Tokens(model, reference.Weights, rows, prompts);
            referenceLogProbs = model.LogProbs(frozen, at, targets, settings.Temperature);
        }

        var loss = new PolicyLoss
        {
            Targets = targets,
            Old = [.. batch.SelectMany(i => i.Rollout.LogProbs)],
            Reference = referenceLogProbs,
            Advantages = [.. batch.SelectMany(i => Enumerable.Repeat((float)i.Advantage, i.Rollout.Tokens.Length))],
            Temperature = settings.Temperature,
            ClipLow = settings.Clip,
            ClipHigh = settings.ClipHigh ?? settings.Clip,
            Beta = settings.Kl,
            Scale = scale,
        };
        value = model.PolicyLoss(MaskedForward.Tokens(model, weights, rows, prompts), at, loss);
        return loss;
    }

    /// <summary>One completion.</summary>
    /// <param name="Prompt">Place of its prompt's keys and values.</param>
    /// <param name="Row">What runs with the adapter on.</param>
    /// <param name="Rollout">What was sampled; the end of <paramref name="Row"/>.</param>
    /// <param name="Advantage">Its advantage.</param>
    private sealed record Item(int Prompt, int[] Row, Rollout Rollout, double Advantage);
}
