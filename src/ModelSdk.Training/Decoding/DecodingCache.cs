using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>Keys and values of a batch that is being decoded: the prompts padded at the right, then one slot a step for all rows.</summary>
internal sealed class DecodingCache : IDisposable
{
    private readonly Transformer _model;
    private readonly int _growth;
    private readonly int _past;
    private readonly Tensor[] _tensors;                 // 2 L x [B, KVH, capacity, h]; keys even, values odd
    private long[] _starts;
    private Tensor _padding;                            // [B, 1, P], 0 or minus infinity
    private int _used;
    private int _capacity;

    /// <summary>Takes the prompts' keys and values over.</summary>
    /// <param name="model">Model.</param>
    /// <param name="prompts">[2 L, B, KVH, P, h], or null for empty prompts.</param>
    /// <param name="starts">Prompt tokens of each row.</param>
    /// <param name="growth">Slots to add when the cache is full.</param>
    public DecodingCache(Transformer model, Tensor? prompts, long[] starts, int growth)
    {
        (_model, _growth, _starts) = (model, growth, starts);
        var config = model.Config;
        _past = prompts is null ? 0 : (int)prompts.shape[3];
        _used = _past;
        _capacity = _past;
        using var scope = NewDisposeScope();
        prompts ??= torch.zeros([2 * config.Layers, starts.Length, config.KeyValueHeads, 0, config.HeadSize], dtype: model.Compute.Type, device: model.Device);
        _tensors = [.. prompts.unbind(0).Select(t => t.clone().DetachFromDisposeScope())];
        _padding = PaddingMask().DetachFromDisposeScope();
    }

    /// <summary>Positions of the next tokens: int64 [B, count].</summary>
    public Tensor Positions(int count)
    {
        var values = new long[_starts.Length * count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = _starts[i / count] + (_used - _past) + (i % count);
        }

        return tensor(values, [_starts.Length, count], device: _model.Device);
    }

    /// <summary>Mask of the next tokens over prompts and slots: [B*KVH, G*count, used + count].</summary>
    public Tensor Mask(int count)
    {
        var slots = _used - _past;
        var later = torch.full([count, count], double.NegativeInfinity, dtype: ScalarType.Float32, device: _model.Device).triu(1).to_type(_model.Compute.Type);
        var own = torch.cat([torch.zeros([count, slots], dtype: _model.Compute.Type, device: _model.Device), later], 1).unsqueeze(0).expand(_starts.Length, count, slots + count);
        return AttentionMask.Expand(torch.cat([_padding.expand(_starts.Length, count, _past), own], 2), _model.Config.KeyValueHeads, _model.Group);
    }

    /// <summary>Makes room for the next tokens.</summary>
    public void Reserve(int count)
    {
        if (_used + count <= _capacity)
        {
            return;
        }

        var more = Math.Max(_growth, count);
        using var scope = NewDisposeScope();
        for (var i = 0; i < _tensors.Length; i++)
        {
            var shape = _tensors[i].shape;
            var grown = torch.cat([_tensors[i], torch.zeros([shape[0], shape[1], more, shape[3]], dtype: _model.Compute.Type, device: _model.Device)], 2);
            _tensors[i].Dispose();
            _tensors[i] = grown.DetachFromDisposeScope();
        }

        _capacity += more;
    }

    /// <summary>Writes the new keys and values of a layer into their slots; see <see cref="KeyValueExtension"/>.</summary>
    public (Tensor Keys, Tensor Values) Extend(int layer, Tensor keys, Tensor values)
    {
        var count = keys.shape[2];
        _tensors[2 * layer].narrow(2, _used, count).copy_(keys);
        _tensors[(2 * layer) + 1].narrow(2, _used, count).copy_(values);
        return (_tensors[2 * layer].narrow(2, 0, _used + count), _tensors[(2 * layer) + 1].narrow(2, 0, _used + count));
    }

    /// <summary>Counts the slots that a step filled.</summary>
    public void Advance(int count) => _used += count;

    /// <summary>Keeps only these rows.</summary>
    public void Select(long[] rows)
    {
        using var scope = NewDisposeScope();
        var index = tensor(rows, device: _model.Device);
        for (var i = 0; i < _tensors.Length; i++)
        {
            var chosen = _tensors[i].index_select(0, index);
            _tensors[i].Dispose();
            _tensors[i] = chosen.DetachFromDisposeScope();
        }

        _starts = [.. rows.Select(r => _starts[r])];
        _padding.Dispose();
        _padding = PaddingMask().DetachFromDisposeScope();
    }

    public void Dispose()
    {
        foreach (var tensor in _tensors)
        {
            tensor.Dispose();
        }

        _padding.Dispose();
    }

    private Tensor PaddingMask()
    {
        using var scope = NewDisposeScope();
        var padding = torch.arange(_past, device: _model.Device).unsqueeze(0).ge(tensor(_starts, device: _model.Device).unsqueeze(1)).unsqueeze(1); // [B, 1, P]
        return torch.zeros([_starts.Length, 1, _past], dtype: _model.Compute.Type, device: _model.Device).masked_fill_(padding, double.NegativeInfinity).MoveToOuterDisposeScope();
    }
}
