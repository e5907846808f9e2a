namespace ModelSdk.Manifest;

/// <summary>A device that the bundle must fit; checked when the bundle is written.</summary>
public sealed record TargetSettings
{
    /// <summary>The .NET runtime identifier, for example <c>linux-x64</c>. Required.</summary>
    public string Rid { get; init; } = "";

    /// <summary>Most memory with one session, in MB of 1,000,000 bytes; null (default) is not checked.</summary>
    public int? MemoryMB { get; init; }

    /// <summary>Most disk for the bundle, in MB of 1,000,000 bytes; null (default) is not checked.</summary>
    public int? DiskMB { get; init; }
}
