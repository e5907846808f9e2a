namespace ModelSdk.Manifest;

/// <content>MDL5xxx: store, bundle and build.</content>
public static partial class DiagnosticCodes
{
    /// <summary>modelc met an error that nobody foresaw: a defect of the product.</summary>
    public const string CompilerDefect = "MDL5000";

    /// <summary>The store cannot be written or read: no permission, a read-only volume, or a path that is no folder.</summary>
    public const string StoreNotAccessible = "MDL5001";

    /// <summary>The volume of the store or of the output has no space left.</summary>
    public const string DiskFull = "MDL5002";

    /// <summary>A store entry does not hold the bytes that were recorded when it was made.</summary>
    public const string StoreEntryDamaged = "MDL5003";

    /// <summary>The output folder holds something else than a bundle, so it is not replaced.</summary>
    public const string OutputIsNoBundle = "MDL5004";

    /// <summary>The output folder cannot be written.</summary>
    public const string OutputNotWritable = "MDL5005";

    /// <summary>The lock file is missing, or it was made from other inputs.</summary>
    public const string LockMismatch = "MDL5006";

    /// <summary>The compiled model needs more disk or memory than a target of the manifest allows.</summary>
    public const string TargetExceeded = "MDL5007";

    /// <summary>The command line cannot be understood.</summary>
    public const string CommandLineInvalid = "MDL5009";

    /// <summary>An input file changed while modelc was reading it.</summary>
    public const string InputChanged = "MDL5008";

    /// <summary>A gate of the manifest does not hold: what was measured is not good enough.</summary>
    public const string GateFailed = "MDL5010";

    /// <summary>The folder that a synthetic base should become exists and holds files.</summary>
    public const string SyntheticFolderTaken = "MDL5020";

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
        new(CompilerDefect, "Internal error of modelc"),
        new(StoreNotAccessible, "The store cannot be used"),
        new(DiskFull, "No space left"),
        new(StoreEntryDamaged, "A store entry is damaged"),
        new(OutputIsNoBundle, "The output folder is no bundle"),
        new(OutputNotWritable, "The output folder cannot be written"),
        new(LockMismatch, "The lock file does not match"),
        new(TargetExceeded, "The bundle does not fit a target"),
        new(InputChanged, "An input changed during the compile"),
        new(GateFailed, "A gate does not hold"),
        new(SyntheticFolderTaken, "The folder of a synthetic base is taken"),
        new(CommandLineInvalid, "The command line cannot be understood"),
        new(CompilerFailed, "The model compiler failed without a reason"),
        new(CompilerNotStarted, "The model compiler could not be started"),
        new(NoBundle, "The model compiler left no bundle"),
        new(DuplicateFileName, "Two models of a project have the same file name"),
        new(SdkTooOld, "The .NET SDK is too old"),
        new(HostUnsupported, "Models cannot be compiled on this system"),
        new(LibTorchNotRestored, "libtorch is not restored yet"),
    ];
}
