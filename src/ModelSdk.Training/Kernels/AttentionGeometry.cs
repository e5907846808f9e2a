using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Kernels;

/// <summary>Who sees whom in a batch; the same for all layers.</summary>
/// <param name="Config">Shape.</param>
/// <param name="Rows">Rows, B.</param>
/// <param name="Length">Tokens in each row, T.</param>
/// <param name="Past">Places kept for prompts, P; the longest prompt of the batch.</param>
/// <param name="Starts">Prompt tokens of each row [B]: the row's tokens see these, and have the positions behind them.</param>
/// <param name="First">[B, T] first own token that each token sees, or null: the row's first.</param>
/// <param name="Cos">fp32 [positions, h / 2].</param>
/// <param name="Sin">fp32 [positions, h / 2].</param>
internal sealed record AttentionGeometry(TransformerConfig Config, int Rows, int Length, int Past, int[] Starts, int[]? First, float[] Cos, float[] Sin)
{
    /// <summary>Columns of the scores: prompts, own tokens, and zeros up to whole vectors.</summary>
    public int Columns { get; } = (Past + Length + 15) / 16 * 16;

    /// <summary>Query heads that share keys and values.</summary>
    public int Group => Config.Heads / Config.KeyValueHeads;

    /// <summary>Row of the rotary table of a token.</summary>
    public int Position(int row, int token) => Math.Min(Starts[row] + token, Config.MaxPositions - 1);
}
