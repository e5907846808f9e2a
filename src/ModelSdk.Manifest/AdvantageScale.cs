namespace ModelSdk.Manifest;

/// <summary>What the distance of a reward from its group's mean is divided by.</summary>
public enum AdvantageScale
{
    /// <summary>The deviation of the rewards of the same question's samples; <c>group</c> (paper 4).</summary>
    Group,

    /// <summary>The deviation over the whole batch, which does not blow up small differences; <c>batch</c>.</summary>
    Batch,
}
