namespace ModelSdk.Compiler.Store;

/// <summary>
/// A lock that processes hold on one store entry while they make it. It is an open file that nobody else may open,
/// so the system lets go of it when the holder is killed. Lock files are empty and stay; deleting one while
/// somebody waits for it would let two holders in.
/// </summary>
internal sealed class StoreLock : IDisposable
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private readonly FileStream _file;

    private StoreLock(FileStream file) => _file = file;

    /// <summary>Takes the lock, or waits for it.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="waiting">Called once when somebody else holds it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public static async Task<StoreLock> AcquireAsync(string path, Action waiting, CancellationToken cancellationToken)
    {
        bool told = false;
        while (true)
        {
            StoreLock? taken = TryAcquire(path);
            if (taken is not null)
            {
                return taken;
            }

            if (!told)
            {
                told = true;
                waiting();
            }

            await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes the lock if it is free; null when somebody holds it.</summary>
    public static StoreLock? TryAcquire(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            return new StoreLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1));
        }
        catch (IOException exception) when (IsHeldByAnother(exception))
        {
            return null;
        }
    }

    public void Dispose() => _file.Dispose();

    // Linux and macOS: EAGAIN/EWOULDBLOCK from flock; Windows: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
    private static bool IsHeldByAnother(IOException exception) =>
        exception.HResult is 11 or 35 or unchecked((int)0x80070020) or unchecked((int)0x80070021);
}
