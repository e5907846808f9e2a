using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>
/// Keys and values of prompts, encoded once by the frozen base without gradients (masked LoRA, paper 2): they are constant for the
/// whole run. Prompts that no later step needs are not kept.
/// </summary>
/// <remarks>
/// Prompts are always encoded in the group in which they are first used, so that a resumed run computes the same bits. Where all that
/// later steps need does not fit the limit, nothing is kept and each step encodes its own prompts.
/// </remarks>
internal sealed class PromptCache : IDisposable
{
    private readonly Transformer _model;
    private readonly IReadOnlyList<int[]> _prompts;
    private readonly Dictionary<int, int[]> _groups = [];
    private readonly Dictionary<int, int> _lastUse = [];
    private readonly Dictionary<int, Tensor> _kept = [];
    private readonly bool _keep;

    /// <summary>Plans what to keep.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="prompts">Tokens of each distinct prompt; may be empty ones.</param>
    /// <param name="schedule">Prompts of each step, by index into <paramref name="prompts"/>.</param>
    /// <param name="limitBytes">Most memory to keep keys and values in.</param>
    public PromptCache(Transformer model, IReadOnlyList<int[]> prompts, IReadOnlyList<IReadOnlyList<int>> schedule, long limitBytes)
    {
        (_model, _prompts) = (model, prompts);
        var firstUse = new Dictionary<int, int>();
        for (var step = 0; step < schedule.Count; step++)
        {
            var group = schedule[step].Distinct().Where(p => firstUse.TryAdd(p, step)).ToArray();
            foreach (var prompt in group)
            {
                _groups[prompt] = group;
            }

            foreach (var prompt in schedule[step])
            {
                _lastUse[prompt] = step;
            }
        }

        var needed = firstUse.Where(f => _lastUse[f.Key] > f.Value).Sum(f => (long)prompts[f.Key].Length * BytesPerToken);
        _keep = needed <= limitBytes;
    }

    /// <summary>Tokens encoded so far.</summary>
    public long EncodedTokens { get; private set; }

    /// <summary>Floating point operations of that.</summary>
    public double EncodedFlops { get; private set; }

    private long BytesPerToken => (long)_model.Config.Layers * 2 * _model.Config.KeyValueSize * (_model.Compute.Type == ScalarType.Float32 ? 4 : 2);

    /// <summary>Makes the prompts of a step available; forgets those that no later step needs.</summary>
    /// <param name="step">Index into the schedule.</param>
    /// <param name="prompts">The step's prompts.</param>
    /// <returns>Keys and values by prompt: [2 L, KVH, P, h]; valid until the next call.</returns>
    public IReadOnlyDictionary<int, Tensor> Prepare(int step, IReadOnlyList<int> prompts)
    {
        foreach (var stale in _kept.Keys.Where(p => !_keep || _lastUse[p] < step).ToArray())
        {
            _kept.Remove(stale, out var tensor);
            tensor!.Dispose();
        }

        if (_keep)
        {
            foreach (var prompt in prompts)
            {
                if (!_kept.ContainsKey(prompt))
                {
                    EncodeAll(_groups[prompt], step);
                }
            }
        }
        else
        {
            EncodeAll([.. prompts.Distinct()], step);
        }

        return _kept;
    }

    public void Dispose()
    {
        foreach (var tensor in _kept.Values)
        {
            tensor.Dispose();
        }

        _kept.Clear();
    }

    private void EncodeAll(int[] group, int step)
    {
        foreach (var batch in MicroBatches.Split(group, p => _prompts[p].Length, maxTokens: 8192))
        {
            var lengths = batch.Select(p => _prompts[p].Length).ToArray();
            if (lengths.Max() == 0)
            {
                foreach (var prompt in batch)
                {
                    _kept[prompt] = torch.zeros([2 * _model.Config.Layers, _model.Config.KeyValueHeads, 0, _model.Config.HeadSize], dtype: _model.Compute.Type, device: _model.Device).DetachFromDisposeScope();
                }

                continue;
            }

            using var gradients = no_grad();
            using var scope = NewDisposeScope();
            var all = Encode(_model, _model.FrozenWeights(), [.. batch.Select(p => _prompts[p])]);     // [2 L, B, KVH, P, h]
            for (var row = 0; row < batch.Length; row++)
            {
                if (_lastUse[batch[row]] >= step && !_kept.ContainsKey(batch[row]))
                {
                    _kept[batch[row]] = all.select(1, row).narrow(2, 0, lengths[row]).clone().DetachFromDisposeScope();
                }
            }

            EncodedTokens += lengths.Sum();
            EncodedFlops += lengths.Sum(l => TrainingFlops.Encode(_model.Config, l));
        }
    }

    /// <summary>Keys (even) and values (odd) of all layers for prompts padded at the right: [2 L, B, KVH, P, h].</summary>
    public static Tensor Encode(Transformer model, LayerWeights[] weights, int[][] prompts)
    {
        using var scope = NewDisposeScope();
        var length = prompts.Max(p => p.Length);
        model.CheckLength(length);
        var ids = new long[prompts.Length * length];
        for (var row = 0; row < prompts.Length; row++)
        {
            for (var t = 0; t < prompts[row].Length; t++)
            {
                ids[(row * length) + t] = prompts[row][t];
            }
        }

        var found = new List<Tensor>();
        if (model.UsesKernels(weights, length))
        {
            var packed = model.PacksRows ? prompts.Select(p => p.Length).ToArray() : null;
            if (packed is not null)
            {
                ids = [.. prompts.SelectMany(p => p).Select(t => (long)t)];
            }

            var tokens = model.Embed(tensor(ids, packed is null ? [prompts.Length, length] : [1, ids.Length], device: model.Device));
            void Keep(Tensor t) => found.Add(t.view(prompts.Length, model.Config.KeyValueHeads, -1, model.Config.HeadSize).narrow(2, 0, length));
            model.RunKernels(weights, tokens, new int[prompts.Length], past: null, packed: packed, capture: (keys, values) =>
            {
                Keep(keys);
                Keep(values);
            });
            return torch.stack(found).MoveToOuterDisposeScope();
        }

        var x = model.Embed(tensor(ids, [prompts.Length, length], device: model.Device));
        DecoderStack.Run(model.Config, weights, x, model.Rotary, model.Rotary.Range(0, length), model.CausalMask(length), (_, keys, values) =>
        {
            found.Add(keys);
            found.Add(values);
            return (keys, values);
        });
        return torch.stack(found).MoveToOuterDisposeScope();
    }

    /// <summary>Puts the prompts of a batch side by side, padded at the right with zeros: [2 L, B, KVH, P, h].</summary>
    public static Tensor Gather(IReadOnlyList<Tensor> prompts)
    {
        var longest = prompts.Max(p => p.shape[2]);
        var first = prompts[0];
        var all = torch.zeros([first.shape[0], prompts.Count, first.shape[1], longest, first.shape[3]], dtype: first.dtype, device: first.device);
        for (var row = 0; row < prompts.Count; row++)
        {
            if (prompts[row].shape[2] > 0)
            {
                all.select(1, row).narrow(2, 0, prompts[row].shape[2]).copy_(prompts[row]);
            }
        }

        return all;
    }
}
