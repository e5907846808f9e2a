namespace ModelSdk.Manifest;

/// <summary>What was measured for one mode on unseen questions.</summary>
public sealed record MeasuredMode
{
    /// <summary>An adapter's name or <see cref="ModelManifest.BaseMode"/>.</summary>
    public string Mode { get; init; } = "";

    /// <summary>Share of right answers, 0 to 1.</summary>
    public double Accuracy { get; init; }

    /// <summary>Mean number of generated tokens.</summary>
    public double MeanTokens { get; init; }

    /// <summary>Questions asked.</summary>
    public int Examples { get; init; }
}
