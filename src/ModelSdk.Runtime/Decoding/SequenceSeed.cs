namespace ModelSdk.Runtime.Decoding;

/// <summary>Seeds of sequences that are sampled from one prompt.</summary>
internal static class SequenceSeed
{
    /// <summary>The seed of a sample; sample 0 has the prompt's own. The factor is not SplitMix64's increment, so that no two generators begin in each other's states.</summary>
    public static long Of(ulong seed, int sample) => (long)(seed + ((ulong)sample * 0xD1342543DE82EF95));
}
