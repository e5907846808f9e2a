namespace ModelSdk.Manifest;

/// <content>MDL5xxx: store, bundle and build.</content>
public static partial class DiagnosticCodes
{
    private static DiagnosticInfo[] BuildCodes() => [];
}
