using static TorchSharp.torch;

namespace ModelSdk.Training.Heads;

/// <summary>
/// The switcher's view of a prompt (paper 3): the running exponential average of the mean final-norm output of each chunk. It starts at
/// the first chunk's mean; a last chunk that is not full is the mean of its tokens.
/// </summary>
public static class PromptPooling
{
    /// <summary>The average is linear in the tokens: the weight of each.</summary>
    /// <param name="tokens">Tokens of the prompt, before the generation prompt.</param>
    /// <param name="chunk">Tokens in a chunk; 128 in the paper.</param>
    /// <param name="smoothing">Share of a new chunk in the average; 0.5 in the paper.</param>
    /// <returns>[tokens]; the sum is 1.</returns>
    public static float[] Weights(int tokens, int chunk, double smoothing)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(chunk, 1);
        var weights = new float[tokens];
        var chunks = (tokens + chunk - 1) / chunk;
        for (var c = 0; c < chunks; c++)
        {
            var count = Math.Min(chunk, tokens - (c * chunk));
            var share = Math.Pow(1 - smoothing, chunks - 1 - c) * (c == 0 ? 1 : smoothing);
            weights.AsSpan(c * chunk, count).Fill((float)(share / count));
        }

        return weights;
    }

    /// <summary>Pooled hidden states of prompts, by the base alone.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="prompts">Tokens before the generation prompt; none may be empty.</param>
    /// <param name="chunk">Tokens in a chunk.</param>
    /// <param name="smoothing">Share of a new chunk in the average.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <returns>[prompts][D].</returns>
    public static float[][] Pool(Transformer model, IReadOnlyList<int[]> prompts, int chunk, double smoothing, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        var results = new float[prompts.Count][];
        foreach (var batch in MicroBatches.Split([.. Enumerable.Range(0, prompts.Count)], p => prompts[p].Length, maxTokens: 8192))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var length = batch.Max(p => prompts[p].Length);
            var ids = new long[batch.Length * length];
            var weights = new float[batch.Length * length];
            for (var row = 0; row < batch.Length; row++)
            {
                var prompt = prompts[batch[row]];
                if (prompt.Length == 0)
                {
                    throw new ArgumentException($"Prompt {batch[row]} is empty.", nameof(prompts));
                }

                Weights(prompt.Length, chunk, smoothing).CopyTo(weights, row * length);
                for (var t = 0; t < prompt.Length; t++)
                {
                    ids[(row * length) + t] = prompt[t];
                }
            }

            var hidden = model.FinalNorm(model.Hidden(new TokenBatch { Ids = ids, Rows = batch.Length, LossWeights = new float[ids.Length] })).to_type(ScalarType.Float32);
            var pooled = Transformer.Values(bmm(tensor(weights, [batch.Length, 1, length], device: model.Device), hidden));
            for (var row = 0; row < batch.Length; row++)
            {
                results[batch[row]] = pooled[(row * model.Config.HiddenSize)..((row + 1) * model.Config.HiddenSize)];
            }
        }

        return results;
    }
}
