using ModelSdk.Onnx.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>The LoRA matrices of an adapter as fp32 tensors over a frozen base, and the base's weights with them applied.</summary>
/// <remarks>
/// Two forms of the same function. Low rank: y = W x + B (A x), the only one with dropout. Merged: y = (W + B A) x, the sum made once a
/// micro-batch; up to <see cref="Transformer.RectanglesUpTo"/> its three square products are faster than two square and six thin ones.
/// </remarks>
internal sealed class LoraModule : IDisposable
{
    private readonly Transformer _base;
    private readonly Dictionary<string, (Tensor A, Tensor B)> _pairs = new(StringComparer.Ordinal);
    private readonly FusedLinear[][] _layers;
    private readonly bool _merged;

    private LoraModule(Transformer model, int rank, double alpha, double dropout, IEnumerable<string> targets, bool trainable, bool? merged, Func<string, int, int, (Tensor A, Tensor B)> create)
    {
        _base = model;
        (Rank, Alpha, Dropout) = (rank, alpha, dropout);
        _merged = merged ?? (dropout == 0 && model.Config.HiddenSize <= Transformer.RectanglesUpTo);
        var wanted = targets.ToHashSet(StringComparer.Ordinal);
        _layers = new FusedLinear[model.Config.Layers][];
        var parameters = model.Parameters.Where(p => p.Kind == ParameterKind.Matrix).ToArray();
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        for (var i = 0; i < _layers.Length; i++)
        {
            var layer = model.Layers[i];
            _layers[i] = [.. parameters.Skip(4 * i).Take(4).Select((p, kind) => Fuse(p, kind switch
            {
                0 => layer.AttentionNorm,
                2 => layer.FeedNorm,
                _ => null,
            }, kind == 0 ? model.RowScale.unsqueeze(1) : null))];
        }

        Names = [.. _layers.SelectMany(l => l).SelectMany(f => f.Parts).Where(p => _pairs.ContainsKey(p.Module)).Select(p => p.Module)];

        FusedLinear Fuse(TransformerParameter parameter, Tensor? gain, Tensor? rowScale)
        {
            var columns = (int)parameter.Value.shape[1];
            var parts = parameter.Parts.Select(p => (Module: p.Name[..^".weight".Length], p.Rows)).ToArray();
            foreach (var (module, rows) in parts)
            {
                if (wanted.Contains(module[(module.LastIndexOf('.') + 1)..]))
                {
                    var (a, b) = create(module, columns, rows);
                    a.requires_grad = trainable;
                    b.requires_grad = trainable;
                    _pairs.Add(module, (a.DetachFromDisposeScope(), b.DetachFromDisposeScope()));
                }
            }

            // Scaled here, once: a number that meets a tensor makes a temporary, which may be finalized during the native call.
            var scale = (rowScale is null ? torch.ones(1, device: model.Device) : rowScale) * (alpha / rank);
            return new FusedLinear(parts, columns, gain, scale.DetachFromDisposeScope(), _merged ? model.Folded(parameter.Value, gain, rowScale).DetachFromDisposeScope() : null);
        }
    }

    /// <summary>Rank r.</summary>
    public int Rank { get; }

    /// <summary>Alpha; the update is scaled by alpha / r.</summary>
    public double Alpha { get; }

    /// <summary>Share of A's inputs that is dropped in training.</summary>
    public double Dropout { get; }

    /// <summary>Module names of the adapted linears, in the order of the forward pass.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>A and B of every adapted linear, in a fixed order.</summary>
    public IReadOnlyList<Tensor> Parameters => [.. Names.SelectMany(n => (Tensor[])[_pairs[n].A, _pairs[n].B])];

    /// <summary>A new adapter: A uniform within 1/sqrt(in) (as PEFT), B zero, so that it starts as the base.</summary>
    public static LoraModule Create(Transformer model, int rank, double alpha, double dropout, IEnumerable<string> targets, long seed, bool? merged = null)
    {
        using var generator = new Generator((ulong)seed);
        return new LoraModule(model, rank, alpha, dropout, targets, trainable: true, merged, (_, columns, rows) =>
        {
            var bound = 1 / Math.Sqrt(columns);
            return (torch.rand([rank, columns], generator: generator).mul_(2 * bound).sub_(bound).to(model.Device), torch.zeros([rows, rank], device: model.Device));
        });
    }

    /// <summary>An adapter with given weights.</summary>
    public static LoraModule From(Transformer model, LoraAdapter adapter, bool trainable = false, bool? merged = null)
    {
        using var scope = NewDisposeScope();
        return new LoraModule(model, adapter.Rank, adapter.Alpha, trainable ? adapter.Dropout : 0, adapter.Targets, trainable, merged, (module, columns, rows) =>
            adapter.Linears.TryGetValue(module, out var linear)
                ? (Copy(linear.A, adapter.Rank, columns), Copy(linear.B, rows, adapter.Rank))
                : (torch.zeros([adapter.Rank, columns], device: model.Device), torch.zeros([rows, adapter.Rank], device: model.Device)));

        // Torch's own memory: a tensor over a managed array lies where the array does, and products round differently at other alignments.
        Tensor Copy(float[] values, int rows, int columns) => tensor(values, [rows, columns]).clone().to(model.Device);
    }

    /// <summary>A copy of the weights.</summary>
    public LoraAdapter ToAdapter(IReadOnlyList<int> invocationTokens) => new()
    {
        Rank = Rank,
        Alpha = Alpha,
        Dropout = Dropout,
        InvocationTokens = invocationTokens,
        Linears = Names.ToDictionary(
            n => n,
            n => new LoraLinear(n, (int)_pairs[n].A.shape[1], (int)_pairs[n].B.shape[0], Transformer.Values(_pairs[n].A), Transformer.Values(_pairs[n].B)),
            StringComparer.Ordinal),
    };

    /// <summary>The base's weights with the adapter on, in the computation's type; differentiable in A and B.</summary>
    public LayerWeights[] ComputeWeights()
    {
        var frozen = _base.FrozenWeights();
        return [.. _layers.Select((l, i) => new LayerWeights(
            Apply(frozen[i].Qkv, l[0]), Apply(frozen[i].Output, l[1]), Apply(frozen[i].GateUp, l[2]), Apply(frozen[i].Down, l[3]), frozen[i].Cache))];
    }

    public void Dispose()
    {
        foreach (var (a, b) in _pairs.Values)
        {
            a.Dispose();
            b.Dispose();
        }

        foreach (var linear in _layers.SelectMany(l => l))
        {
            linear.Folded?.Dispose();
            linear.Scale.Dispose();
        }
    }

    private LinearWeights Apply(LinearWeights frozen, FusedLinear linear)
    {
        var adapted = linear.Parts.Where(p => _pairs.ContainsKey(p.Module)).ToArray();
        if (adapted.Length == 0)
        {
            return frozen;
        }

        // A of all parts on top of each other [n r, in]; B as blocks on the diagonal [out, n r].
        var a = adapted.Length == 1 ? _pairs[adapted[0].Module].A : torch.cat([.. adapted.Select(p => _pairs[p.Module].A)], 0);
        a = linear.Gain is null ? a : a * linear.Gain;
        var blocks = new List<Tensor>();
        var places = new List<LoraBlock>();
        int before = 0, row = 0;
        foreach (var (module, rows) in linear.Parts)
        {
            if (_pairs.TryGetValue(module, out var pair))
            {
                blocks.Add(adapted.Length == 1 ? pair.B : nn.functional.pad(pair.B, [before, ((adapted.Length - 1) * Rank) - before]));
                places.Add(new LoraBlock(row, rows, before, Rank));
                before += Rank;
            }
            else
            {
                blocks.Add(torch.zeros([rows, adapted.Length * Rank], device: a.device));
            }

            row += rows;
        }

        var b = (blocks.Count == 1 ? blocks[0] : torch.cat(blocks, 0)) * linear.Scale;
        var type = _base.Compute.Type;
        return linear.Folded is null
            ? frozen with { LoraA = a.to_type(type), LoraB = b.to_type(type), Dropout = Dropout, Blocks = places }
            : frozen with { Weight = torch.addmm(linear.Folded, b, a, 1, 1).to_type(type) };
    }

    /// <summary>One fused linear of the base.</summary>
    /// <param name="Parts">Its modules and their rows.</param>
    /// <param name="Columns">Inputs.</param>
    /// <param name="Gain">Gain of the norm before it [in], or null.</param>
    /// <param name="Scale">Scale of B's rows [out, 1] or [1]: alpha / rank, and the scale of the queries.</param>
    /// <param name="Folded">fp32 weight with both folded in; for the merged form only.</param>
    private sealed record FusedLinear((string Module, int Rows)[] Parts, int Columns, Tensor? Gain, Tensor Scale, Tensor? Folded);
}
