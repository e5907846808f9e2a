namespace ModelSdk.Manifest;

/// <summary>How keys and values of encoded tokens are stored while a model answers.</summary>
public enum CacheFormat
{
    /// <summary>Eight bits, symmetric, one scale a channel; <c>int8</c>.</summary>
    Int8,

    /// <summary>Four bits, symmetric, one scale a channel; <c>int4</c>.</summary>
    Int4,

    /// <summary>Full precision; <c>none</c>.</summary>
    None,
}
