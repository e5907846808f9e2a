namespace ModelSdk.Manifest;

/// <summary>How numbers of a weight are stored.</summary>
public enum WeightFormat
{
    /// <summary>Four bits, symmetric, one scale a block; <c>int4</c>.</summary>
    Int4,

    /// <summary>Eight bits, symmetric, one scale a block; <c>int8</c>.</summary>
    Int8,

    /// <summary>Two bits, symmetric, one scale a block; <c>int2</c>.</summary>
    Int2,

    /// <summary>Full precision, for parity and debugging; <c>none</c>.</summary>
    None,
}
