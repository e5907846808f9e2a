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
/// <param name="Packed">Tokens of each row [B] where rows stand behind each other without padding, [N, ..]; null: a rectangle, [B T, ..].</param>
internal sealed record AttentionGeometry(TransformerConfig Config, int Rows, int Length, int Past, int[] Starts, int[]? First, float[] Cos, float[] Sin, int[]? Packed = null)
{
    private readonly int[]? _offsets = Packed is null ? null : Offsets(Packed);

    /// <summary>Tokens of all rows: B T, or N.</summary>
    public int Tokens => _offsets is null ? Rows * Length : _offsets[^1];


    /// <summary>Columns of the scores: prompts, own tokens, and zeros up to whole vectors.</summary>
    public int Columns { get; } = (Past + Length + 15) / 16 * 16;

    /// <summary>Query heads that share keys and values.</summary>
    public int Group => Config.Heads / Config.KeyValueHeads;

    /// <summary>Tokens of a row that exist.</summary>
    public int LengthOf(int row) => Packed?[row] ?? Length;

    /// <summary>Place of a row's first token among all tokens.</summary>
    public int Offset(int row) => _offsets?[row] ?? row * Length;

    /// <summary>Row of the rotary table of a token.</summary>
    public int Position(int row, int token) => Math.Min(Starts[row] + token, Config.MaxPositions - 1);

    private static int[] Offsets(int[] lengths)
    {
        var offsets = new int[lengths.Length + 1];
        for (var row = 0; row < lengths.Length; row++)
        {
            offsets[row + 1] = offsets[row] + lengths[row];
        }

        return offsets;
    }
}
