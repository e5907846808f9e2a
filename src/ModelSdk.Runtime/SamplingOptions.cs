namespace ModelSdk.Runtime;

/// <summary>How the next token is chosen from the logits.</summary>
/// <remarks>
/// Order: logits / temperature, then top-k, then softmax over what is left, then top-p, then one draw.
/// Top-k keeps the k highest logits (ties: the lower id first). Top-p keeps the shortest run of most probable tokens whose
/// probabilities sum to at least p (the token that reaches p is kept; at least one token stays). The draw takes one number u in [0, 1)
/// from the generator per token and walks the kept tokens, most probable first, until their sum exceeds u times the kept mass
/// (with neither top-k nor top-p, tokens are walked in the order of their ids). The generator is xoshiro256** seeded
/// by SplitMix64: the same seed gives the same numbers on every .NET version and platform.
/// </remarks>
public sealed record SamplingOptions
{
    /// <summary>The most probable token each time (the lowest id on a tie).</summary>
    public static SamplingOptions Greedy { get; } = new();

    /// <summary>Divides the logits; 0 = greedy. At least 0. Default 0. The paper samples at 0.7 to 0.8.</summary>
    public double Temperature { get; init; }

    /// <summary>Share of probability to keep, in (0, 1]. Default 1 (all).</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Number of tokens to keep; 0 = all. Default 0.</summary>
    public int TopK { get; init; }

    /// <summary>Seed of the generator; null = a random one each call.</summary>
    public long? Seed { get; init; }

    /// <summary>
    /// The sampling of one of several parallel streams, so that any of them can be sampled again alone: greedy becomes temperature
    /// <see cref="VotingOptions.DefaultTemperature"/>, and each stream has a seed of its own. Stream 0 keeps the seed, the others mix their number into it (SplitMix64).
    /// Without a seed the streams draw their own.
    /// </summary>
    /// <param name="stream">The stream's number, from 0.</param>
    public SamplingOptions ForStream(int stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(stream);
        return this with
        {
            Temperature = Temperature == 0 ? VotingOptions.DefaultTemperature : Temperature,
            Seed = stream == 0 || Seed is not long seed ? Seed : Decoding.Xoshiro256.Mix(seed, stream),
        };
    }
}
