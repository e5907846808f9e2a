using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training;

/// <summary>
/// Floating point operations that masked LoRA needs, a multiplication and an addition counted as two. Only matrix products count, and only what the
/// function asks for: no padding, nothing that runs a second time to save memory, no gradients of the base's weights.
/// </summary>
public static class TrainingFlops
{
    /// <summary>Tokens of a prompt through all layers of the base, without LM head.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="tokens">Tokens of the prompt.</param>
    public static double Encode(TransformerConfig config, int tokens) =>
        config.Layers * ((2.0 * tokens * LinearWeights(config)) + (2 * AttentionProduct(config, Seen(0, tokens))));

    /// <summary>A row behind its prompt, forward and backward.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="adapter">Rank and targets.</param>
    /// <param name="prompt">Tokens of the prompt, whose keys and values are constants.</param>
    /// <param name="tokens">Tokens that run with the adapter on.</param>
    /// <param name="trained">Tokens with a loss; the LM head runs for these.</param>
    public static double Train(TransformerConfig config, AdapterSettings adapter, int prompt, int tokens, int trained)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        int d = config.HiddenSize, f = config.IntermediateSize, query = config.QuerySize, kv = config.KeyValueSize;
        double lora = adapter.Targets.Sum(t => adapter.Rank * (t switch
        {
            "q_proj" or "o_proj" => (double)d + query,
            "k_proj" or "v_proj" => (double)d + kv,
            _ => (double)d + f,
        }));

        // Forward, and backward for the gradient of each linear's input; the embedding takes none, so the first q/k/v has none either.
        double linears = config.Layers * 2 * 2.0 * tokens * LinearWeights(config);
        linears -= 2.0 * tokens * d * (query + (2 * kv));
        // Forward, gradient of the input, gradient of A and B.
        double adapted = config.Layers * 3 * 2.0 * tokens * lora;
        adapted -= 2.0 * tokens * d * adapter.Rank * adapter.Targets.Count(t => t is "q_proj" or "k_proj" or "v_proj");
        // Scores and their mix; backward the gradients of scores and queries, and, for the row's own tokens, of keys and values.
        double attention = config.Layers * ((4 * AttentionProduct(config, Seen(prompt, tokens))) + (2 * AttentionProduct(config, Seen(0, tokens))));
        double head = 2 * 2.0 * trained * d * config.VocabularySize;
        return linears + adapted + attention + head;
    }

    /// <summary>Weights of a layer's linears.</summary>
    private static double LinearWeights(TransformerConfig config) =>
        ((double)config.HiddenSize * (config.QuerySize + (2 * config.KeyValueSize))) + ((double)config.QuerySize * config.HiddenSize) + (3.0 * config.HiddenSize * config.IntermediateSize);

    /// <summary>Places that tokens see, each itself and all before it.</summary>
    private static double Seen(int before, int tokens) => ((double)before * tokens) + (tokens * (tokens + 1.0) / 2);

    /// <summary>One of attention's products, such as queries with keys.</summary>
    private static double AttentionProduct(TransformerConfig config, double seen) => 2.0 * config.QuerySize * seen;
}
