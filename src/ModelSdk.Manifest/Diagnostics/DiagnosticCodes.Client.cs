namespace ModelSdk.Manifest;

/// <content>MDL61xx: generator.</content>
public static partial class DiagnosticCodes
{
    /// <summary>Two manifests of one project would generate the same client class.</summary>
    public const string DuplicateClient = "MDL6101";

    private static DiagnosticInfo[] ClientCodes() =>
    [
        new(DuplicateClient, "Two manifests generate the same client"),
    ];
}
