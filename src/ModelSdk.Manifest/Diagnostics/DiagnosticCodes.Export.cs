namespace ModelSdk.Manifest;

/// <content>MDL4xxx: export and numerics.</content>
public static partial class DiagnosticCodes
{
    private static DiagnosticInfo[] ExportCodes() => [];
}
