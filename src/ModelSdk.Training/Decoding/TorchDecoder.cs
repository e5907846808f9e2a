using ModelSdk.Onnx.Adapters;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelSdk.Training;

/// <summary>What was decoded for one prompt.</summary>
/// <param name="Tokens">Tokens after the generation prompt, without the token that ended them.</param>
/// <param name="Ended">True: an end token came. False: the limit was reached.</param>
public sealed record DecodedSequence(int[] Tokens, bool Ended);

/// <summary>
/// Greedy decoding in Torch with the runtime's meaning: the prompt is encoded by the base, the generation prompt and the answer run with
/// the adapter. Measures what an adapter can do before quantization, and gives the logits that an exported graph is compared with.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
public sealed class TorchDecoder : IDisposable
{
    private const int SlotsPerGrowth = 64;

    private readonly Transformer _model;
    private readonly LoraModule? _lora;
    private readonly LayerWeights[] _promptWeights;
    private readonly LayerWeights[] _answerWeights;
    private readonly Tensor[] _owned;

    /// <summary>Prepares weights.</summary>
    /// <param name="model">Frozen base; <see cref="ComputeOptions.Full"/> for measurements.</param>
    /// <param name="adapter">Adapter; null: the base answers directly.</param>
    /// <param name="masked">False: the adapter also runs on the prompt (the ablation without the mask).</param>
    public TorchDecoder(Transformer model, LoraAdapter? adapter = null, bool masked = true)
    {
        _model = model;
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        _lora = adapter is null ? null : LoraModule.From(model, adapter, merged: model.Compute.Type == ScalarType.Float32);
        _answerWeights = _lora?.ComputeWeights() ?? model.FrozenWeights();
        _promptWeights = masked ? model.FrozenWeights() : _answerWeights;
        _owned = _lora is null ? [] : [.. _answerWeights.SelectMany(Tensors).Except(model.FrozenWeights().SelectMany(Tensors), ReferenceEqualityComparer.Instance).Cast<Tensor>()];
        foreach (var tensor in _owned)
        {
            tensor.DetachFromDisposeScope();
        }
    }

    private static IEnumerable<Tensor> Tensors(LayerWeights layer) =>
        ((LinearWeights[])[layer.Qkv, layer.Output, layer.GateUp, layer.Down]).SelectMany(l => ((Tensor?[])[l.Weight, l.Bias, l.LoraA, l.LoraB]).OfType<Tensor>());

    /// <summary>Decodes many prompts, in batches of similar length; rows that end leave the batch.</summary>
    /// <param name="prompts">Tokens before the generation prompt.</param>
    /// <param name="generationPrompt">Tokens that open the assistant's turn.</param>
    /// <param name="endTokens">Tokens that end an answer.</param>
    /// <param name="maxTokens">Most tokens to decode for each prompt; cut where the model's positions end.</param>
    /// <param name="batchSize">Rows decoded at once.</param>
    /// <param name="cancellation">Checked between tokens.</param>
    /// <returns>In the order of <paramref name="prompts"/>.</returns>
    public IReadOnlyList<DecodedSequence> Decode(IReadOnlyList<int[]> prompts, IReadOnlyList<int> generationPrompt, IReadOnlyCollection<int> endTokens, int maxTokens, int batchSize = 256, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        var results = new DecodedSequence[prompts.Count];
        foreach (var chunk in Enumerable.Range(0, prompts.Count).OrderBy(i => prompts[i].Length).ThenBy(i => i).Chunk(batchSize))
        {
            DecodeBatch(prompts, chunk, [.. generationPrompt], endTokens.ToHashSet(), maxTokens, results, cancellation);
        }

        return results;
    }

    /// <summary>Logits of one sequence, computed in one pass each for prompt and answer.</summary>
    /// <param name="tokens">The whole sequence.</param>
    /// <param name="sharedTokens">How many of them come before the generation prompt: encoded by the base.</param>
    /// <returns>fp32 logits of each place from <paramref name="sharedTokens"/> on: [tokens - shared][V].</returns>
    public float[][] Logits(IReadOnlyList<int> tokens, int sharedTokens)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        var answer = tokens.Skip(sharedTokens).ToArray();
        var past = sharedTokens == 0
            ? torch.zeros([2 * _model.Config.Layers, _model.Config.KeyValueHeads, 0, _model.Config.HeadSize], dtype: _model.Compute.Type, device: _model.Device)
            : PromptCache.Encode(_model, _promptWeights, [[.. tokens.Take(sharedTokens)]]).select(1, 0);
        var logits = Transformer.Values(_model.HeadLogits(MaskedForward.Hidden(_model, _answerWeights, [answer], [past])));
        return [.. logits.Chunk(_model.Config.VocabularySize)];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _owned)
        {
            tensor.Dispose();
        }

        _lora?.Dispose();
    }

    private void DecodeBatch(IReadOnlyList<int[]> prompts, int[] chunk, int[] generationPrompt, HashSet<int> ends, int maxTokens, DecodedSequence[] results, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var starts = chunk.Select(i => (long)prompts[i].Length).ToArray();
        var past = (int)starts.Max();
        maxTokens = Math.Min(maxTokens, _model.Config.MaxPositions - past - generationPrompt.Length);
        if (maxTokens <= 0)
        {
            _model.CheckLength(past + generationPrompt.Length + 1);
        }

        var decoded = chunk.Select(_ => new List<int>()).ToArray();
        var rows = Enumerable.Range(0, chunk.Length).ToArray();                                 // places in the chunk; those that ended stay a while
        var going = rows.Length;
        using var cache = new DecodingCache(_model, past == 0 ? null : PromptCache.Encode(_model, _promptWeights, [.. chunk.Select(i => prompts[i])]), starts, SlotsPerGrowth);
        var next = Enumerable.Repeat(generationPrompt.Select(t => (long)t), chunk.Length).SelectMany(t => t).ToArray();
        while (going > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            next = Step(cache, next, rows.Length);
            for (var row = 0; row < rows.Length; row++)
            {
                var index = chunk[rows[row]];
                if (results[index] is not null)
                {
                    continue;
                }

                var ended = ends.Contains((int)next[row]);
                if (!ended)
                {
                    decoded[rows[row]].Add((int)next[row]);
                }

                if (ended || decoded[rows[row]].Count >= maxTokens)
                {
                    results[index] = new DecodedSequence([.. decoded[rows[row]]], ended);
                    going--;
                }
            }

            // Copying the cache costs about as much as a step, so rows that ended leave by the eighth of a batch.
            if (going > 0 && going <= rows.Length * 7 / 8)
            {
                var keep = Enumerable.Range(0, rows.Length).Where(r => results[chunk[rows[r]]] is null).ToArray();
                cache.Select([.. keep.Select(r => (long)r)]);
                next = [.. keep.Select(r => next[r])];
                rows = [.. keep.Select(r => rows[r])];
            }
        }
    }

    /// <summary>Runs the next tokens of all rows (row-major) and returns the most likely token after them.</summary>
    private long[] Step(DecodingCache cache, long[] tokens, int rows)
    {
        using var scope = NewDisposeScope();
        var count = tokens.Length / rows;
        var table = _model.Rotary.At(cache.Positions(count));
        var mask = cache.Mask(count);
        cache.Reserve(count);
        var hidden = DecoderStack.Run(_model.Config, _answerWeights, _model.Embed(tensor(tokens, [rows, count], device: _model.Device)), _model.Rotary, table, mask, cache.Extend);
        cache.Advance(count);
        return _model.HeadLogits(hidden.select(1, count - 1)).argmax(-1).cpu().data<long>().ToArray();
    }
}
