using ModelSdk.Onnx.Adapters;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>The frozen policy from which training may not move far: weights made once, log-probabilities without gradients.</summary>
internal sealed class GrpoReference : IDisposable
{
    private readonly LoraModule? _lora;
    private readonly Tensor[] _owned = [];

    /// <summary>Prepares weights.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="adapter">The adapter as fine-tuning left it; null: the base itself.</param>
    public GrpoReference(Transformer model, LoraAdapter? adapter)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        Weights = model.FrozenWeights();
        if (adapter is not null)
        {
            _lora = LoraModule.From(model, adapter with { Dropout = 0 });
            static IEnumerable<Tensor> Tensors(LayerWeights[] layers) => layers
                .SelectMany(l => (LinearWeights[])[l.Qkv, l.Output, l.GateUp, l.Down])
                .SelectMany(l => ((Tensor?[])[l.Weight, l.Bias, l.LoraA, l.LoraB]).OfType<Tensor>());
            var frozen = Tensors(Weights).ToHashSet<Tensor>(ReferenceEqualityComparer.Instance);
            Weights = _lora.ComputeWeights();
            _owned = [.. Tensors(Weights).Where(t => !frozen.Contains(t))];
            foreach (var tensor in _owned)
            {
                tensor.DetachFromDisposeScope();
            }
        }
    }

    /// <summary>Weights with the reference's adapter on.</summary>
    public LayerWeights[] Weights { get; }

    public void Dispose()
    {
        foreach (var tensor in _owned)
        {
            tensor.Dispose();
        }

        _lora?.Dispose();
    }
}
