namespace ModelSdk.Runtime.Decoding;

/// <summary>A prompt to sample from.</summary>
/// <param name="Tokens">Tokens before the generation prompt; the base encodes them once for all samples. At least one.</param>
/// <param name="Samples">Sequences to generate.</param>
/// <param name="Budget">Generated tokens after which the answer is forced, as <see cref="ReasoningRequest.Budget"/>; null = no cut. It is not stated here: the prompt does that.</param>
/// <param name="Seed">Seeds the samples: each sequence has a generator of its own, seeded from this and the sample's index as the streams of a call are (<see cref="SamplingOptions.ForStream"/>). Unused when greedy.</param>
/// <param name="MaxTokens">Most tokens of this prompt's sequences, where that is less than <see cref="BatchOptions.MaxTokens"/>; null = as the others.</param>
public sealed record BatchPrompt(int[] Tokens, int Samples, int? Budget, ulong Seed, int? MaxTokens = null)
{
    /// <summary>The seed of a sample.</summary>
    internal long SeedOf(int sample) => unchecked(sample == 0 ? (long)Seed : Xoshiro256.Mix((long)Seed, sample));
}
