namespace ModelSdk.Manifest;

/// <summary>How bad a diagnostic is.</summary>
public enum ManifestSeverity
{
    /// <summary>For information; nothing to do.</summary>
    Info,

    /// <summary>Goes on, but somebody should look.</summary>
    Warning,

    /// <summary>Nothing is built until it is put right.</summary>
    Error,
}
