using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Store;

/// <summary>Turns errors of the file system into errors that a user can act on.</summary>
internal static class StoreErrors
{
    private const int LinuxNoSpace = 28;
    private const int LinuxQuota = 122;
    private const int MacQuota = 69;
    private const int WindowsDiskFull = unchecked((int)0x80070070);
    private const int WindowsHandleDiskFull = unchecked((int)0x80070027);

    /// <summary>True for errors that say something about the volume or its permissions rather than about our code.</summary>
    public static bool IsFileSystemError(Exception exception) => exception is IOException or UnauthorizedAccessException;

    /// <summary>True when the volume is full, or the user's quota is.</summary>
    public static bool IsDiskFull(Exception exception) =>
        exception is IOException && exception.HResult is LinuxNoSpace or LinuxQuota or MacQuota or WindowsDiskFull or WindowsHandleDiskFull;

    /// <summary>An error about the store at <paramref name="root"/>.</summary>
    public static CompilerException Store(Exception exception, string root) => IsDiskFull(exception)
        ? new CompilerException(
            DiagnosticCodes.DiskFull,
            $"The volume of the store {root} is full. Free some space, or set MODELSDK_STORE (or --store) to a folder on another volume. What was finished is kept. ({exception.Message})",
            innerException: exception)
        : new CompilerException(
            DiagnosticCodes.StoreNotAccessible,
            $"The store {root} cannot be used: {exception.Message} Check its permissions, or set MODELSDK_STORE (or --store) to a folder that you can write.",
            innerException: exception);

    /// <summary>An error about the output folder.</summary>
    public static CompilerException Output(Exception exception, string folder) => IsDiskFull(exception)
        ? new CompilerException(DiagnosticCodes.DiskFull, $"The volume of the output folder {folder} is full. Free some space and build again; nothing is compiled twice. ({exception.Message})", innerException: exception)
        : new CompilerException(DiagnosticCodes.OutputNotWritable, $"The output folder {folder} cannot be written: {exception.Message}", innerException: exception);
}
