using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>
/// Masked LoRA on response tokens only: the keys and values of the prompt come from the base, the generation prompt and the response
/// run with the adapter, and the LM head runs where the loss is. Equals a forward pass over everything with the adapter masked out on
/// prompt tokens (tested).
/// </summary>
internal static class MaskedForward
{
    /// <summary>Sum of the cross entropy of all response tokens, divided by <paramref name="normalizer"/>.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="weights">Weights with the adapter on.</param>
    /// <param name="rows">Tokens that run with the adapter: generation prompt, response, end of turn.</param>
    /// <param name="lossFrom">Per row: place in it of the first token that is trained on.</param>
    /// <param name="prompts">Per row: keys and values of the tokens before it, [2 L, KVH, P, h].</param>
    /// <param name="normalizer">Divisor; the response tokens of the whole step.</param>
    /// <returns>fp32 scalar.</returns>
    public static Tensor Loss(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<int> lossFrom, IReadOnlyList<Tensor> prompts, double normalizer)
    {
        int[][] read = [.. rows.Select(r => r[..^1])]; // the last token is predicted, never read
        var starts = Starts(model, weights, read, prompts);
        var places = new List<long>();
        var targets = new List<long>();
        for (var row = 0; row < rows.Count; row++)
        {
            for (var t = lossFrom[row]; t < rows[row].Length; t++)
            {
                places.Add(starts[row] + t - 1);
                targets.Add(rows[row][t]);
            }
        }

        return model.CrossEntropy(Tokens(model, weights, read, prompts), [.. places], [.. targets], weights: null, normalizer);
    }

    /// <summary>Place of each row's first token in what <see cref="Tokens"/> returns.</summary>
    public static long[] Starts(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<Tensor> prompts)
    {
        var packs = Packs(model, weights, rows, prompts);
        var length = rows.Max(r => r.Length);
        var starts = new long[rows.Count];
        for (var row = 1; row < rows.Count; row++)
        {
            starts[row] = starts[row - 1] + (packs ? rows[row - 1].Length : length);
        }

        return starts;
    }

    /// <summary><see cref="Hidden"/> as a list of tokens [N, D], without padding where the model packs rows.</summary>
    public static Tensor Tokens(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<Tensor> prompts)
    {
        if (!Packs(model, weights, rows, prompts))
        {
            return Hidden(model, weights, rows, prompts).view(-1, model.Config.HiddenSize);
        }

        foreach (var (row, prompt) in rows.Zip(prompts))
        {
            model.CheckLength((int)prompt.shape[2] + row.Length);
        }

        long[] ids = [.. rows.SelectMany(r => r).Select(t => (long)t)];
        var x = model.Embed(tensor(ids, [1, ids.Length], device: model.Device));
        var past = prompts.Max(p => p.shape[2]) == 0 ? null : PromptCache.Gather(prompts).unbind(0);
        return model.RunKernels(weights, x, [.. prompts.Select(p => (int)p.shape[2])], past, packed: [.. rows.Select(r => r.Length)]).view(-1, model.Config.HiddenSize);
    }

    private static bool Packs(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<Tensor> prompts) =>
        model.PacksRows && model.UsesKernels(weights, (int)prompts.Max(p => p.shape[2]) + rows.Max(r => r.Length));

    /// <summary>Keys and values of the rows' tokens behind those of their prompts: per row [2 L, KVH, P + T, h], without padding.</summary>
    public static Tensor[] Extend(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<Tensor> prompts)
    {
        using var scope = NewDisposeScope();
        var found = new List<Tensor>();
        Hidden(model, weights, rows, prompts, (keys, values) =>
        {
            // Aliases, because a layer frees its handles when it ends.
            found.Add(keys.alias());
            found.Add(values.alias());
        });
        var past = prompts.Max(p => p.shape[2]);
        var all = torch.stack(found).view(found.Count, rows.Count, model.Config.KeyValueHeads, -1, model.Config.HeadSize);
        return [.. rows.Select((row, i) => torch.cat([all.select(1, i).narrow(2, 0, prompts[i].shape[2]), all.select(1, i).narrow(2, past, row.Length)], 2).MoveToOuterDisposeScope())];
    }

    /// <summary>Residual stream of the rows' tokens behind their prompts: [B, T, D].</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="weights">Weights of these tokens.</param>
    /// <param name="rows">Tokens of each row.</param>
    /// <param name="prompts">Per row: keys and values of the tokens before it, [2 L, KVH, P, h].</param>
    /// <param name="capture">Gets each layer's keys and values, the prompts' padded to the longest, then the rows': [B KVH, S, h].</param>
    public static Tensor Hidden(Transformer model, LayerWeights[] weights, IReadOnlyList<int[]> rows, IReadOnlyList<Tensor> prompts, Action<Tensor, Tensor>? capture = null)
    {
        int count = rows.Count, length = rows.Max(r => r.Length);
        var past = prompts.Max(p => (int)p.shape[2]);
        var ids = new long[count * length];
        var positions = new long[count * length];
        var starts = new long[count];
        for (var row = 0; row < count; row++)
        {
            starts[row] = prompts[row].shape[2];
            model.CheckLength((int)starts[row] + rows[row].Length);
            for (var t = 0; t < length; t++)
            {
                ids[(row * length) + t] = t < rows[row].Length ? rows[row][t] : 0;
                positions[(row * length) + t] = t < rows[row].Length ? starts[row] + t : 0;
            }
        }

        var x = model.Embed(tensor(ids, [count, length], device: model.Device));
        if (model.UsesKernels(weights, past + length))
        {
            return model.RunKernels(weights, x, [.. starts.Select(s => (int)s)], past == 0 ? null : [.. PromptCache.Gather(prompts).unbind(0)], capture: capture);
        }

        if (past == 0 && capture is null)
        {
            return DecoderStack.Run(model.Config, weights, x, model.Rotary, model.Rotary.Range(0, length), model.CausalMask(length));
        }

        var cached = PromptCache.Gather(prompts).unbind(0);                                     // 2 L x [B, KVH, P, h]
        var table = model.Rotary.At(tensor(positions, [count, length], device: model.Device));
        return DecoderStack.Run(model.Config, weights, x, model.Rotary, table, Mask(model, starts, past, length), (layer, keys, values) =>
        {
            (keys, values) = (torch.cat([cached[2 * layer], keys], 2), torch.cat([cached[(2 * layer) + 1], values], 2));
            capture?.Invoke(keys, values);
            return (keys, values);
        });
    }

    /// <summary>Each token sees its own prompt and the tokens of its row up to itself: [B*KVH, G*T, P + T].</summary>
    private static Tensor Mask(Transformer model, long[] starts, int past, int length)
    {
        using var scope = NewDisposeScope();
        var padding = torch.arange(past, device: model.Device).unsqueeze(0).ge(tensor(starts, device: model.Device).unsqueeze(1)) // [B, P]
            .unsqueeze(1).expand(starts.Length, length, past);
        var future = torch.ones([length, length], dtype: ScalarType.Bool, device: model.Device).triu(1).unsqueeze(0).expand(starts.Length, length, length);
        var hidden = torch.cat([padding, future], 2);                                           // [B, T, P + T]
        var mask = torch.zeros([starts.Length, length, past + length], dtype: model.Compute.Type, device: model.Device).masked_fill_(hidden, double.NegativeInfinity);
        return AttentionMask.Expand(mask, model.Config.KeyValueHeads, model.Group).MoveToOuterDisposeScope();
    }
}
