namespace ModelSdk.Onnx.Quantization;

/// <summary>What flowed into one fused linear over the tokens of a calibration.</summary>
/// <param name="MeanSquares">E[x^2] of each input channel, [columns].</param>
/// <param name="OutputEnergy">E[|W x|^2] without bias, summed over the fused linear's outputs.</param>
/// <param name="StreamShare">Energy of what the linear's block (attention or feed-forward) adds to the residual stream, over that of the stream behind it.</param>
public sealed record LinearActivations(float[] MeanSquares, double OutputEnergy, double StreamShare)
{
    /// <summary>Least importance of a channel, as a share of the mean: a channel that calibration never saw still has to be something.</summary>
    private const double Least = 1e-3;

    /// <summary>Weight of each column's squared error, mean 1.</summary>
    public float[] Importance()
    {
        double mean = MeanSquares.Average(v => (double)v);
        return mean > 0 ? [.. MeanSquares.Select(v => (float)((v / mean) + Least))] : [.. MeanSquares.Select(_ => 1f)];
    }
}

/// <summary>What flowed into the linears of one layer.</summary>
/// <param name="Qkv">self_attn.qkv_proj.</param>
/// <param name="Output">self_attn.o_proj.</param>
/// <param name="GateUp">mlp.gate_up_proj.</param>
/// <param name="Down">mlp.down_proj.</param>
public sealed record LayerActivations(LinearActivations Qkv, LinearActivations Output, LinearActivations GateUp, LinearActivations Down)
{
    /// <summary>By the fused linear's name within its layer.</summary>
    public LinearActivations this[string fused] => fused switch
    {
        "self_attn.qkv_proj" => Qkv,
        "self_attn.o_proj" => Output,
        "mlp.gate_up_proj" => GateUp,
        "mlp.down_proj" => Down,
        _ => throw new ArgumentException($"{fused} is no fused linear.", nameof(fused)),
    };
}

/// <summary>Sums of x x^T over the tokens of a calibration, row-major [columns, columns], for the fused linears of one layer.</summary>
/// <param name="Qkv">self_attn.qkv_proj, [D, D].</param>
/// <param name="Output">self_attn.o_proj, [H h, H h].</param>
/// <param name="GateUp">mlp.gate_up_proj, [D, D].</param>
/// <param name="Down">mlp.down_proj, [F, F].</param>
public sealed record LayerGrams(float[] Qkv, float[] Output, float[] GateUp, float[] Down)
{
    /// <summary>By the fused linear's name within its layer.</summary>
    public float[] this[string fused] => fused switch
    {
        "self_attn.qkv_proj" => Qkv,
        "self_attn.o_proj" => Output,
        "mlp.gate_up_proj" => GateUp,
        "mlp.down_proj" => Down,
        _ => throw new ArgumentException($"{fused} is no fused linear.", nameof(fused)),
    };
}
