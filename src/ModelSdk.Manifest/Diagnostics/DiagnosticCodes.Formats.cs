namespace ModelSdk.Manifest;

/// <content>MDL2xxx: formats of base models and tokenizers.</content>
public static partial class DiagnosticCodes
{
    private static DiagnosticInfo[] FormatCodes() => [];
}
