using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Tests;

public sealed class TrainingFlopsTests
{
    /// <summary>1 layer, width 4, feed-forward 6, 2 query heads and 1 key/value head of 2, 10 tokens in the vocabulary.</summary>
    private static readonly TransformerConfig s_config = new("qwen2", 10, 4, 6, 1, 2, 1, 2, 16, 10000, 1e-6, true);

    [Fact]
    public void A_prompt_counts_what_a_hand_counts()
    {
        // Weights: q 16, k 8, v 8, o 16, gate 24, up 24, down 24 = 120. Two tokens: 2 x 2 x 120 = 480. They see 1 + 2 = 3 places; scores and mix: 2 x (2 x 4 x 3) = 48.
        Assert.Equal(480 + 48, TrainingFlops.Encode(s_config, 2));
    }

    [Fact]
    public void A_row_counts_what_a_hand_counts()
    {
        var adapter = new AdapterSettings { Rank = 1, Targets = new EquatableArray<string>(["q_proj", "down_proj"]) };
        // Forward 2 x 2 x 120 = 480; backward the same without q, k, v (32): 2 x 2 x 88 = 352.
        // LoRA: q 4 + 4, down 6 + 4 = 18 numbers, 3 products of 2 tokens: 3 x 2 x 2 x 18 = 216; the input of q's A takes no gradient: - 2 x 2 x 4 = 16.
        // Attention behind 3 tokens: 4 + 5 = 9 places, 2 products forward and 2 backward of 2 x 4 x 9 = 72; own places 3, 2 products of 24.
        // Head: 1 token, forward and backward 2 x 2 x 40 = 160.
        Assert.Equal(480 + 352 + 216 - 16 + (4 * 72) + (2 * 24) + 160, TrainingFlops.Train(s_config, adapter, 3, 2, 1));
    }
}
