namespace ModelSdk.Manifest;

/// <content>MDL5xxx: store, bundle and build.</content>
public static partial class DiagnosticCodes
{
    /// <summary>The model compiler ended with an error and named no reason.</summary>
    public const string CompilerFailed = "MDL5301";

    /// <summary>The build could not start the model compiler.</summary>
    public const string CompilerNotStarted = "MDL5302";

    /// <summary>The model compiler ended well but left no bundle.</summary>
    public const string NoBundle = "MDL5303";

    /// <summary>Two ReasoningModel items of a project have the same file name.</summary>
    public const string DuplicateFileName = "MDL5304";

    /// <summary>The .NET SDK is older than ModelSdk needs.</summary>
    public const string SdkTooOld = "MDL5305";

    /// <summary>Models cannot be compiled on this operating system or processor.</summary>
    public const string HostUnsupported = "MDL5306";

    /// <summary>libtorch is not in the package folder yet.</summary>
    public const string LibTorchNotRestored = "MDL5307";

    private static DiagnosticInfo[] BuildCodes() =>
    [
        new(CompilerFailed, "The model compiler failed without a reason"),
        new(CompilerNotStarted, "The model compiler could not be started"),
        new(NoBundle, "The model compiler left no bundle"),
        new(DuplicateFileName, "Two models of a project have the same file name"),
        new(SdkTooOld, "The .NET SDK is too old"),
        new(HostUnsupported, "Models cannot be compiled on this system"),
        new(LibTorchNotRestored, "libtorch is not restored yet"),
    ];
}
