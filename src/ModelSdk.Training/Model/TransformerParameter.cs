using TorchSharp;

namespace ModelSdk.Training;

/// <summary>What a parameter is for; optimizers treat the kinds differently.</summary>
public enum ParameterKind
{
    /// <summary>Embedding or LM head, [V, D].</summary>
    Embedding,

    /// <summary>Weight of a hidden linear, [out, in].</summary>
    Matrix,

    /// <summary>Bias or norm, [n].</summary>
    Vector,
}

/// <summary>One tensor of a model; fused linears hold several Hugging Face tensors, one below the other.</summary>
/// <param name="Name">Name inside this library, such as "layers.0.qkv".</param>
/// <param name="Value">The tensor, fp32 (see <see cref="Transformer.Parameters"/> for wide frozen bases); <c>grad</c> holds its gradient after a backward pass.</param>
/// <param name="Kind">What it is for.</param>
/// <param name="Parts">Hugging Face names with their rows, in order; their rows add up to those of <paramref name="Value"/>.</param>
public sealed record TransformerParameter(string Name, torch.Tensor Value, ParameterKind Kind, IReadOnlyList<ParameterPart> Parts);

/// <summary>One Hugging Face tensor inside a parameter.</summary>
/// <param name="Name">Hugging Face name, such as "model.layers.0.self_attn.q_proj.weight".</param>
/// <param name="Rows">Rows of the fused tensor that are its own.</param>
public sealed record ParameterPart(string Name, int Rows);

/// <summary>A tensor on its way to a checkpoint file.</summary>
/// <param name="Name">Hugging Face name.</param>
/// <param name="Shape">Dimensions.</param>
/// <param name="Values">fp32 values, row-major.</param>
public sealed record NamedTensor(string Name, long[] Shape, float[] Values);
