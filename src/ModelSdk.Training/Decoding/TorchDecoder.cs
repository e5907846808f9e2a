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
        DecodingRow[] rows = [.. prompts.Select(p => new DecodingRow(p, maxTokens, null))];
        DecodeAll(rows, [.. generationPrompt], endTokens, batchSize, cancellation);
        return [.. rows.Select(r => new DecodedSequence(r.Ended ? [.. r.Tokens.SkipLast(1)] : [.. r.Tokens], r.Ended))];
    }

    /// <summary>Samples completions; each has random numbers of its own, so that batches do not change what is drawn.</summary>
    /// <param name="prompts">Prompts.</param>
    /// <param name="generationPrompt">Tokens that open the assistant's turn.</param>
    /// <param name="endTokens">Tokens that end an answer.</param>
    /// <param name="temperature">Logits are divided by it; above 0.</param>
    /// <param name="batchSize">Rows decoded at once.</param>
    /// <param name="cancellation">Checked between tokens.</param>
    /// <returns>Ordered by prompt and sample.</returns>
    public IReadOnlyList<Rollout> Sample(IReadOnlyList<RolloutPrompt> prompts, IReadOnlyList<int> generationPrompt, IReadOnlyCollection<int> endTokens, double temperature, int batchSize = 256, CancellationToken cancellation = default)
    {
        var rows = prompts.SelectMany((p, prompt) => Enumerable.Range(0, p.Samples).Select(sample =>
            (Prompt: prompt, Sample: sample, Row: new DecodingRow(p.Tokens, p.MaxTokens, new DecodingSampler(temperature, unchecked(p.Seed + ((ulong)sample * 0x9E3779B97F4A7C15))))))).ToArray();
        DecodeAll([.. rows.Select(r => r.Row)], [.. generationPrompt], endTokens, batchSize, cancellation);
        return [.. rows.Select(r => new Rollout(r.Prompt, r.Sample, [.. r.Row.Tokens], [.. r.Row.Sampler!.LogProbs], r.Row.Ended))];
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

    private void DecodeAll(DecodingRow[] rows, int[] generationPrompt, IReadOnlyCollection<int> endTokens, int batchSize, CancellationToken cancellation)
    {
        using var gradients = no_grad();
        var ends = endTokens.ToHashSet();
        foreach (var chunk in rows.OrderBy(r => r.Prompt.Length).Chunk(batchSize)) // OrderBy is stable
        {
            DecodeBatch(chunk, generationPrompt, ends, cancellation);
        }
    }

    private void DecodeBatch(DecodingRow[] rows, int[] generationPrompt, HashSet<int> ends, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var past = rows.Max(r => r.Prompt.Length);
        var room = _model.Config.MaxPositions - past - generationPrompt.Length;
        if (room <= 0)
        {
            _model.CheckLength(past + generationPrompt.Length + 1);
        }

        var going = rows.Length;
        using var cache = new DecodingCache(_model, past == 0 ? null : Encode(rows), [.. rows.Select(r => (long)r.Prompt.Length)], SlotsPerGrowth);
        var next = Enumerable.Repeat(generationPrompt.Select(t => (long)t), rows.Length).SelectMany(t => t).ToArray();
        while (going > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            next = Step(cache, next, rows);
            for (var row = 0; row < rows.Length; row++)
            {
                if (rows[row].Take((int)next[row], ends, room))
                {
                    going--;
                }
            }

            // Copying the cache costs about as much as a step, so rows that ended leave by the eighth of a batch.
            if (going > 0 && going <= rows.Length * 7 / 8)
            {
                var keep = Enumerable.Range(0, rows.Length).Where(r => !rows[r].Done).ToArray();
                cache.Select([.. keep.Select(r => (long)r)]);
                next = [.. keep.Select(r => next[r])];
                rows = [.. keep.Select(r => rows[r])];
            }
        }
    }

    /// <summary>Keys and values of the rows' prompts, each distinct prompt encoded once: [2 L, B, KVH, P, h].</summary>
    private Tensor Encode(DecodingRow[] rows)
    {
        var distinct = rows.Select(r => r.Prompt).Distinct<int[]>(ReferenceEqualityComparer.Instance).ToArray();
        var encoded = PromptCache.Encode(_model, _promptWeights, distinct);
        if (distinct.Length == rows.Length)
        {
            return encoded;
        }

        var places = distinct.Select((p, i) => (p, i)).ToDictionary(e => (object)e.p, e => (long)e.i, ReferenceEqualityComparer.Instance);
        return encoded.index_select(1, tensor(rows.Select(r => places[r.Prompt]).ToArray(), device: _model.Device));
    }

    /// <summary>Runs the next tokens of all rows (row-major) and returns the token that each chooses after them.</summary>
    private long[] Step(DecodingCache cache, long[] tokens, DecodingRow[] rows)
    {
        using var scope = NewDisposeScope();
        var count = tokens.Length / rows.Length;
        var table = _model.Rotary.At(cache.Positions(count));
        var mask = cache.Mask(count);
        cache.Reserve(count);
        var hidden = DecoderStack.Run(_model.Config, _answerWeights, _model.Embed(tensor(tokens, [rows.Length, count], device: _model.Device)), _model.Rotary, table, mask, cache.Extend);
        cache.Advance(count);
        var logits = _model.HeadLogits(hidden.select(1, count - 1));                            // [B, V]
        if (rows[0].Sampler is null)
        {
            return logits.argmax(-1).cpu().data<long>().ToArray();
        }

        var values = Transformer.Values(logits);
        var width = _model.Config.VocabularySize;
        return [.. rows.Select((row, i) => row.Done ? 0L : row.Sampler!.Choose(values.AsSpan(i * width, width)))];
    }
}
