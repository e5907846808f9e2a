namespace ModelSdk.Runtime.Sessions;

/// <summary>One sequence of a <see cref="BatchCache"/>. The handle stays valid while other rows come and go.</summary>
internal sealed class BatchRow
{
    private readonly BatchCache _cache;

    internal BatchRow(BatchCache cache, int index, int length)
    {
        _cache = cache;
        Index = index;
        Length = length;
    }

    /// <summary>Tokens whose keys and values are held.</summary>
    public int Length { get; internal set; }

    /// <summary>The token that the next <see cref="BatchCache.Step"/> runs.</summary>
    public int Next { get; set; }

    /// <summary>Logits behind the last token that was run, [V].</summary>
    public ReadOnlySpan<float> Logits => _cache.LogitsOf(this);

    /// <summary>Place in the cache; -1 once removed.</summary>
    internal int Index { get; set; }
}
