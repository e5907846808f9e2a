namespace ModelSdk.Manifest;

/// <summary>What becomes of completions that reached the limit of tokens without an end.</summary>
public enum TruncatedCompletions
{
    /// <summary>They are rewarded with 0; <c>zero</c>.</summary>
    Zero,

    /// <summary>They are left out of the loss: nothing is known of what they would have become; <c>mask</c> (DAPO).</summary>
    Mask,
}
