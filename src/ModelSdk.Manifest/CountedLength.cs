namespace ModelSdk.Manifest;

/// <summary>The tokens that a length reward counts (paper 4).</summary>
public enum CountedLength
{
    /// <summary>All generated tokens; <c>total</c>.</summary>
    Total,

    /// <summary>The reasoning alone, which the model escapes by reasoning in its answer; <c>think</c>, for the ablation.</summary>
    Think,
}
