using ModelSdk.Runtime.Bundles;
using static TorchSharp.torch;

namespace ModelSdk.Training.Kernels;

/// <summary>What a layer's backward pass reads of its forward pass.</summary>
/// <param name="result">The layer's output [B T, D]; belongs to the caller.</param>
internal sealed class LayerActivations(Tensor result) : IDisposable
{
    private readonly List<Tensor> _owned = [];

    public Tensor Result { get; } = result;

    public required Tensor FirstNormed { get; init => field = Own(value); }

    public required Tensor FirstScales { get; init => field = Own(value); }

    public required Tensor? QkvInner { get; init => field = OwnOrNull(value); }

    public required Tensor Queries { get; init => field = Own(value); }

    public required Tensor Keys { get; init => field = Own(value); }

    public required Tensor Values { get; init => field = Own(value); }

    public required Tensor Probabilities { get; init => field = Own(value); }

    public required Tensor Joined { get; init => field = Own(value); }

    public required Tensor? OutputInner { get; init => field = OwnOrNull(value); }

    public required Tensor Middle { get; init => field = Own(value); }

    public required Tensor SecondNormed { get; init => field = Own(value); }

    public required Tensor SecondScales { get; init => field = Own(value); }

    public required Tensor? GateUpInner { get; init => field = OwnOrNull(value); }

    public required Tensor GateUp { get; init => field = Own(value); }

    public required Tensor Product { get; init => field = Own(value); }

    public required Tensor? DownInner { get; init => field = OwnOrNull(value); }

    /// <summary>About the bytes that one layer's activations take.</summary>
    /// <param name="config">Shape.</param>
    /// <param name="rows">Rows, B.</param>
    /// <param name="length">Tokens of the longest row, T.</param>
    /// <param name="past">Places kept for prompts, P.</param>
    /// <param name="tokens">Tokens of all rows.</param>
    /// <param name="elementBytes">Bytes of a number.</param>
    public static long Bytes(TransformerConfig config, int rows, int length, int past, long tokens, int elementBytes)
    {
        long stream = (3L * config.HiddenSize) + config.QuerySize + (3L * config.IntermediateSize);     // a token
        long attention = (config.QuerySize * (long)length) + ((past + length) * ((2L * config.KeyValueSize) + ((long)config.Heads * length))); // a row
        return ((stream * tokens) + (attention * rows)) * elementBytes;
    }

    public void Dispose()
    {
        foreach (var tensor in _owned)
        {
            tensor.Dispose();
        }
    }

    private Tensor Own(Tensor tensor)
    {
        tensor.DetachFromDisposeScope();
        _owned.Add(tensor);
        return tensor;
    }

    private Tensor? OwnOrNull(Tensor? tensor) => tensor is null ? null : Own(tensor);
}
