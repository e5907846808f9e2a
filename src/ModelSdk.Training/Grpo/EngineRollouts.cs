using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Training;

/// <summary>Completions from the deployed engine: int4 weights on ONNX Runtime, the LoRA as an input of the graph.</summary>
public static class EngineRollouts
{
    /// <summary>A sampler for <see cref="GrpoRecipe"/>.</summary>
    /// <param name="engine">Holds base and graph; the sampler sets its adapter.</param>
    /// <param name="generationPrompt">Tokens that open the assistant's turn.</param>
    public static RolloutSampler Of(RolloutEngine engine, IReadOnlyList<int> generationPrompt) => (adapter, prompts, temperature, cancellation) =>
    {
        engine.SetAdapter(adapter);
        var options = new BatchOptions([.. generationPrompt], new SamplingOptions { Temperature = temperature }, prompts.Max(p => p.MaxTokens));
        BatchPrompt[] batch = [.. prompts.Select(p => new BatchPrompt(p.Tokens, p.Samples, Budget: null, p.Seed, p.MaxTokens))];
        return [.. engine.Sample(batch, options, cancellationToken: cancellation).Select(s => s.Forced
            ? new Rollout(s.Prompt, s.Sample, s.Tokens[..s.ForcedAt], s.LogProbs[..s.ForcedAt], Ended: false) // The context's end; what was forced was not sampled.
            : new Rollout(s.Prompt, s.Sample, s.Tokens, s.LogProbs, s.Ended))];
    };
}
