using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>Builds masks that are added to attention scores; shapes as <see cref="DecoderStack.Run"/> wants them.</summary>
internal static class AttentionMask
{
    /// <summary>Each token sees itself and those before it: [1, G*T, T].</summary>
    public static Tensor Causal(int length, int group, ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        return torch.full([length, length], double.NegativeInfinity, dtype: ScalarType.Float32, device: device).triu(1)
            .to_type(type).repeat(group, 1).unsqueeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>Adds to causality that tokens see only their own text: [B*KVH, G*T, T].</summary>
    public static Tensor Segmented(Tensor segments, int kvHeads, int group, ScalarType type)
    {
        using var scope = NewDisposeScope();
        long rows = segments.shape[0], length = segments.shape[1];
        var hidden = segments.unsqueeze(2).ne(segments.unsqueeze(1));                           // [B, T, T]
        hidden = hidden.logical_or(torch.ones([length, length], dtype: ScalarType.Bool, device: segments.device).triu(1));
        return Expand(torch.zeros([rows, length, length], dtype: type, device: segments.device).masked_fill_(hidden, double.NegativeInfinity), kvHeads, group)
            .MoveToOuterDisposeScope();
    }

    /// <summary>[B, T, S] -> [B*KVH, G*T, S].</summary>
    public static Tensor Expand(Tensor mask, int kvHeads, int group)
    {
        long rows = mask.shape[0], length = mask.shape[1], total = mask.shape[2];
        return mask.view(rows, 1, 1, length, total).expand(rows, kvHeads, group, length, total).reshape(rows * kvHeads, group * length, total);
    }
}
