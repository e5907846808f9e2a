using static TorchSharp.torch;

namespace ModelSdk.Training.Heads;

/// <summary>
/// Keys and values of whole answers, as a stream has them when the verification prompt is appended: the prompt by the base, generation
/// prompt and completion by the adapter. They are constants of a verifier's training.
/// </summary>
internal sealed class StreamCache : IDisposable
{
    private const int TokensAtOnce = 8192;

    private readonly Transformer _model;
    private readonly LayerWeights[] _weights;
    private readonly VerifierData _data;
    private readonly (int Question, int[] Row)[] _answers;
    private readonly Tensor[]? _kept;

    /// <summary>Encodes all answers where they fit the limit; else each step encodes its own.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="weights">Its weights with the answering adapter on.</param>
    /// <param name="data">Questions and answers.</param>
    /// <param name="limitBytes">Most memory to keep keys and values in.</param>
    /// <param name="cancellation">Checked between batches.</param>
    public StreamCache(Transformer model, LayerWeights[] weights, VerifierData data, long limitBytes, CancellationToken cancellation)
    {
        (_model, _weights, _data) = (model, weights, data);
        _answers = [.. data.Questions.SelectMany((q, i) => q.Samples.Select(s => (i, (int[])[.. data.GenerationPrompt, .. s.Completion])))];
        var bytesPerToken = (long)model.Config.Layers * 2 * model.Config.KeyValueSize * (model.Compute.Type == ScalarType.Float32 ? 4 : 2);
        if (_answers.Sum(a => (long)(data.Questions[a.Question].Prompt.Length + a.Row.Length)) * bytesPerToken <= limitBytes)
        {
            _kept = new Tensor[_answers.Length];
            foreach (var questions in Enumerable.Range(0, _answers.Length).GroupBy(a => _answers[a].Question).Chunk(16))
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                Encode([.. questions.SelectMany(q => q)], (answer, keysAndValues) => _kept[answer] = keysAndValues.DetachFromDisposeScope());
            }
        }
    }

    /// <summary>Keys and values of some answers, by number over all questions: [2 L, KVH, S, h] each. The caller's scope frees what is not kept.</summary>
    public IReadOnlyList<Tensor> Get(IReadOnlyList<int> answers)
    {
        if (_kept is not null)
        {
            return [.. answers.Select(a => _kept[a])];
        }

        var found = new Dictionary<int, Tensor>();
        Encode([.. answers], (answer, keysAndValues) => found[answer] = keysAndValues);
        return [.. answers.Select(a => found[a])];
    }

    public void Dispose()
    {
        foreach (var tensor in _kept ?? [])
        {
            tensor?.Dispose();
        }
    }

    private void Encode(int[] answers, Action<int, Tensor> take)
    {
        using var gradients = no_grad();
        var prompts = new Dictionary<int, Tensor>();
        foreach (var batch in MicroBatches.Split([.. answers.Select(a => _answers[a].Question).Distinct()], q => _data.Questions[q].Prompt.Length, TokensAtOnce))
        {
            using var scope = NewDisposeScope();
            var all = PromptCache.Encode(_model, _model.FrozenWeights(), [.. batch.Select(q => _data.Questions[q].Prompt)]);
            for (var row = 0; row < batch.Length; row++)
            {
                prompts[batch[row]] = all.select(1, row).narrow(2, 0, _data.Questions[batch[row]].Prompt.Length).clone().MoveToOuterDisposeScope();
            }
        }

        foreach (var batch in MicroBatches.Split(answers, a => _answers[a].Row.Length, TokensAtOnce))
        {
            var encoded = MaskedForward.Extend(_model, _weights, [.. batch.Select(a => _answers[a].Row)], [.. batch.Select(a => prompts[_answers[a].Question])]);
            for (var i = 0; i < batch.Length; i++)
            {
                take(batch[i], encoded[i]);
            }
        }
    }
}
