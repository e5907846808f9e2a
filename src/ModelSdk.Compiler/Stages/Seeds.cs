namespace ModelSdk.Compiler.Stages;

/// <summary>Seeds of sampling: one for each purpose and prompt, so that no measurement repeats the noise of another.</summary>
internal static class Seeds
{
    public const int Verifier = 1;
    public const int Stated = 2;
    public const int Streams = 3;

    /// <summary>The seed of one prompt (SplitMix64's finaliser over the parts).</summary>
    /// <param name="seed">The manifest's seed, and the number of the sampling seed where there are several.</param>
    /// <param name="purpose">One of the constants.</param>
    /// <param name="prompt">Index of the prompt.</param>
    /// <param name="repeat">Which of several sampling seeds.</param>
    public static ulong Of(long seed, int purpose, int prompt, int repeat = 0)
    {
        unchecked
        {
            ulong z = ((ulong)seed * 0x9E3779B97F4A7C15) ^ ((ulong)purpose << 56) ^ ((ulong)repeat << 40) ^ (uint)prompt;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
