using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>A linear ready to compute: y = x W^T + b (+ dropout(x) A^T B^T). Types are those of the computation.</summary>
/// <param name="Weight">[out, in]; the gain of the norm before it and the scale of the queries are folded in.</param>
/// <param name="Bias">[out] or null.</param>
/// <param name="LoraA">[r, in] or null; the norm's gain folded in.</param>
/// <param name="LoraB">[out, r] or null; alpha / rank folded in.</param>
/// <param name="Dropout">Probability that an input of A is dropped while training.</param>
/// <param name="Blocks">Where LoraB is not zero: a block on its diagonal for each adapted part of a fused linear.</param>
internal sealed record LinearWeights(Tensor Weight, Tensor? Bias = null, Tensor? LoraA = null, Tensor? LoraB = null, double Dropout = 0, IReadOnlyList<LoraBlock>? Blocks = null)
{
    /// <summary>x [.., in] -> [.., out].</summary>
    public Tensor Apply(Tensor x)
    {
        var y = nn.functional.linear(x, Weight, Bias);
        if (LoraA is null)
        {
            return y;
        }

        var inner = nn.functional.linear(Dropout > 0 ? nn.functional.dropout(x, Dropout, training: true) : x, LoraA); // [.., r]
        return y + nn.functional.linear(inner, LoraB!);
    }
}

/// <summary>A block of a fused linear's B.</summary>
/// <param name="Row">First row.</param>
/// <param name="Rows">Outputs of the part.</param>
/// <param name="Column">First column.</param>
/// <param name="Columns">Rank.</param>
internal readonly record struct LoraBlock(int Row, int Rows, int Column, int Columns)
{
    /// <summary>The block of [out, r].</summary>
    public Tensor Of(Tensor b) => b.narrow(0, Row, Rows).narrow(1, Column, Columns);

    /// <summary>Its outputs: [N, out] -> [N, rows].</summary>
    public Tensor Outputs(Tensor y) => y.narrow(1, Row, Rows);

    /// <summary>Its inputs: [N, r] -> [N, columns].</summary>
    public Tensor Inner(Tensor inner) => inner.narrow(1, Column, Columns);
}

/// <summary>The linears of one layer, fused.</summary>
/// <param name="Qkv">D -> (H + 2 KVH) h.</param>
/// <param name="Output">H h -> D.</param>
/// <param name="GateUp">D -> 2 F.</param>
/// <param name="Down">F -> D.</param>
/// <param name="Cache">How keys and values are rounded; null: they are not.</param>
internal sealed record LayerWeights(LinearWeights Qkv, LinearWeights Output, LinearWeights GateUp, LinearWeights Down, CacheRounding? Cache = null);
