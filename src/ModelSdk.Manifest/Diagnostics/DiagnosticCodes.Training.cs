namespace ModelSdk.Manifest;

/// <content>MDL3xxx: data and training.</content>
public static partial class DiagnosticCodes
{
    private static DiagnosticInfo[] TrainingCodes() => [];
}
