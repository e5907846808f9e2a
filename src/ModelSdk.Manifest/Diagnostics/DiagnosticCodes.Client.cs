namespace ModelSdk.Manifest;

/// <content>MDL6xxx: client and generator.</content>
public static partial class DiagnosticCodes
{
    /// <summary>Two manifests of one project would generate the same client class.</summary>
    public const string DuplicateClient = "MDL6001";

    private static DiagnosticInfo[] ClientCodes() =>
    [
        new(DuplicateClient, "Two manifests generate the same client"),
    ];
}
