namespace ModelSdk.Training;

/// <summary>A rectangle of tokens [B, T] to train on, rows padded at the right or packed with several texts.</summary>
/// <remarks>Padding at the right needs no mask: attention is causal, and places of weight 0 do not enter the loss.</remarks>
public sealed record TokenBatch
{
    /// <summary>Token ids, row-major [B, T]; padding may be any id of the vocabulary.</summary>
    public required long[] Ids { get; init; }

    /// <summary>Rows, B.</summary>
    public required int Rows { get; init; }

    /// <summary>Tokens in each row, T.</summary>
    public int Length => Ids.Length / Rows;

    /// <summary>
    /// [B, T]: weight of predicting the token AT that place from those before it; 0 = not trained on. The first place of a row
    /// (and of a packed text) must be 0, as nothing predicts it.
    /// </summary>
    public required float[] LossWeights { get; init; }

    /// <summary>[B, T]: number of the text each token belongs to; tokens see only their own text. Null: a row is one text.</summary>
    public int[]? Segments { get; init; }

    /// <summary>Sum of <see cref="LossWeights"/>: what the loss is divided by when nothing else is asked.</summary>
    public double TotalWeight => LossWeights.Sum(w => (double)w);
}
