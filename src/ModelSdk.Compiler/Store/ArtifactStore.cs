using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Store;

/// <summary>
/// Outputs of stages by stage and key. An entry is written in a temporary folder on the same volume, with the digest of
/// every file, and appears by one rename while a lock is held; it never changes after that, and is verified when it is read.
/// <code>
/// store/&lt;stage&gt;/&lt;key&gt;/          a finished entry: files and entry.json
/// store/work/&lt;stage&gt;/&lt;key&gt;/     checkpoints of a long stage, until its entry is published
/// store/tmp/&lt;stage&gt;-&lt;key&gt;/      an entry being written; a left-over of a killed run is cleared by the next
/// store/locks/&lt;stage&gt;-&lt;key&gt;    an empty file, open in the process that makes that entry
/// </code>
/// </summary>
/// <param name="root">The store's folder; created when needed.</param>
public sealed class ArtifactStore(string root)
{
    private const string EntryFile = "entry.json";
    private static readonly TimeSpan s_workKeptFor = TimeSpan.FromDays(30);
    private readonly ConcurrentDictionary<string, StoreEntryRecord> _verified = new(StringComparer.Ordinal);

    /// <summary>The store's folder.</summary>
    public string Root { get; } = Path.GetFullPath(root);

    /// <summary>The folder named by <c>MODELSDK_STORE</c>, else <c>modelsdk</c> in the user's cache folder.</summary>
    public static string DefaultRoot()
    {
        string? configured = Environment.GetEnvironmentVariable("MODELSDK_STORE");
        if (!string.IsNullOrWhiteSpace(configured))
        {
            return Path.GetFullPath(configured);
        }

        if (OperatingSystem.IsWindows())
        {
            return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "modelsdk");
        }

        string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(cache) || !Path.IsPathRooted(cache))
        {
            cache = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), OperatingSystem.IsMacOS() ? "Library/Caches" : ".cache");
        }

        return Path.Combine(cache, "modelsdk");
    }

    /// <summary>True when the store holds this entry. Its content is not verified.</summary>
    public bool Contains(StageKey key) => File.Exists(Path.Combine(EntryFolder(key), EntryFile));

    /// <summary>Where the entry lies or would lie.</summary>
    public string EntryFolder(StageKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Path.Combine(Root, key.Stage, key.Hash);
    }

    /// <summary>Where the checkpoints of an unfinished entry lie.</summary>
    public string WorkFolder(StageKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Path.Combine(Root, "work", key.Stage, key.Hash);
    }

    /// <summary>Reads and verifies an entry; null when the store does not hold it.</summary>
    /// <exception cref="CompilerException">MDL5003: the entry does not hold what was recorded. MDL5001: it cannot be read.</exception>
    public StoreEntry? TryRead(StageKey key)
    {
        string folder = EntryFolder(key);
        try
        {
            if (!Directory.Exists(folder))
            {
                return null;
            }

            StoreEntryRecord record = _verified.TryGetValue(folder, out StoreEntryRecord? known) ? known : _verified[folder] = Verify(key, folder);
            return new StoreEntry(key, folder, record, Cached: true);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw StoreErrors.Store(exception, Root);
        }
    }

    /// <summary>Reads the entry, or makes it. When another process makes the same entry, waits for it and reads what that one made.</summary>
    /// <param name="key">Stage and key.</param>
    /// <param name="produce">Writes the entry's files. On cancellation it should leave checkpoints in the work folder and throw.</param>
    /// <param name="waiting">Called once when another process is making the entry.</param>
    /// <param name="cancellationToken">Ends waiting and work.</param>
    /// <exception cref="CompilerException">The store cannot be used, is full, or the entry is damaged.</exception>
    public async Task<StoreEntry> GetOrCreateAsync(StageKey key, Func<StageFolders, Task> produce, Action waiting, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(produce);
        StoreEntry? found = TryRead(key);
        if (found is not null)
        {
            return found;
        }

        try
        {
            using StoreLock held = await StoreLock.AcquireAsync(LockFile(key), waiting, cancellationToken).ConfigureAwait(false);
            found = TryRead(key);
            if (found is not null)
            {
                return found;
            }

            string temporary = TemporaryFolder(key);
            DeleteFolder(temporary);
            Directory.CreateDirectory(temporary);
            ProcessMemory.ResetPeak();
            long started = Stopwatch.GetTimestamp();
            try
            {
                await produce(new StageFolders(temporary, WorkFolder(key))).ConfigureAwait(false);
            }
            catch
            {
                TryDeleteFolder(temporary);
                throw;
            }

            StoreEntryRecord record = new()
            {
                Stage = key.Stage,
                Key = key.Hash,
                Inputs = key.Inputs,
                Seconds = Math.Round(Stopwatch.GetElapsedTime(started).TotalSeconds, 3),
                Made = DateTimeOffset.UtcNow,
                PeakRssMb = Math.Round(ProcessMemory.PeakBytes() / 1048576.0, 1),
                Files = FileDigest.Folder(temporary),
            };
            await File.WriteAllBytesAsync(Path.Combine(temporary, EntryFile), JsonSerializer.SerializeToUtf8Bytes(record, StoreJson.Default.StoreEntryRecord), cancellationToken).ConfigureAwait(false);
            string folder = EntryFolder(key);
            Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
            Directory.Move(temporary, folder);
            _verified[folder] = record;
            TryDeleteFolder(WorkFolder(key));
            return new StoreEntry(key, folder, record, Cached: false);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw StoreErrors.Store(exception, Root);
        }
    }

    /// <summary>Removes an entry and its checkpoints; waits for a process that is making it.</summary>
    /// <returns>Whether there was anything to remove.</returns>
    /// <exception cref="CompilerException">The store cannot be written.</exception>
    public async Task<bool> RemoveAsync(StageKey key, CancellationToken cancellationToken)
    {
        string folder = EntryFolder(key);
        string work = WorkFolder(key);
        if (!Directory.Exists(folder) && !Directory.Exists(work))
        {
            return false;
        }

        try
        {
            using StoreLock held = await StoreLock.AcquireAsync(LockFile(key), static () => { }, cancellationToken).ConfigureAwait(false);
            DeleteFolder(work);
            if (Directory.Exists(folder))
            {
                // Renamed first, so that nobody reads half of it.
                string temporary = TemporaryFolder(key);
                DeleteFolder(temporary);
                Directory.CreateDirectory(Path.GetDirectoryName(temporary)!);
                Directory.Move(folder, temporary);
                DeleteFolder(temporary);
            }

            _verified.TryRemove(folder, out _);
            return true;
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw StoreErrors.Store(exception, Root);
        }
    }

    /// <summary>
    /// Removes what killed runs left behind: temporary folders that nobody holds a lock for, and checkpoints that nobody touched for 30 days.
    /// Never fails: a store that cannot be cleaned can still be read.
    /// </summary>
    public void CollectGarbage()
    {
        try
        {
            foreach (string folder in Subfolders(Path.Combine(Root, "tmp")))
            {
                using StoreLock? held = StoreLock.TryAcquire(Path.Combine(Root, "locks", Path.GetFileName(folder)));
                if (held is not null)
                {
                    TryDeleteFolder(folder);
                }
            }

            foreach (string stage in Subfolders(Path.Combine(Root, "work")))
            {
                foreach (string folder in Subfolders(stage).Where(f => DateTime.UtcNow - Directory.GetLastWriteTimeUtc(f) > s_workKeptFor))
                {
                    using StoreLock? held = StoreLock.TryAcquire(Path.Combine(Root, "locks", $"{Path.GetFileName(stage)}-{Path.GetFileName(folder)}"));
                    if (held is not null)
                    {
                        TryDeleteFolder(folder);
                    }
                }
            }
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            // A read-only store is fine as long as everything needed is in it; if not, the stage that writes will say so.
        }
    }

    private static StoreEntryRecord Verify(StageKey key, string folder)
    {
        CompilerException Damaged(string what, Exception? cause = null) => new(
            DiagnosticCodes.StoreEntryDamaged,
            $"The store entry {key.Stage}/{key.Hash[..12]} is damaged: {what}. Delete the folder {folder} (or the whole store: dotnet build -t:ModelClean) and build again; only what is missing is made again.",
            innerException: cause);

        string recordFile = Path.Combine(folder, EntryFile);
        if (!File.Exists(recordFile))
        {
            throw Damaged($"{EntryFile} is missing");
        }

        StoreEntryRecord? record;
        try
        {
            record = JsonSerializer.Deserialize(File.ReadAllBytes(recordFile), StoreJson.Default.StoreEntryRecord);
        }
        catch (JsonException exception)
        {
            throw Damaged($"{EntryFile} is no valid record ({exception.Message})", exception);
        }

        if (record is null || record.FormatVersion != 1 || record.Stage != key.Stage || record.Key != key.Hash || record.Inputs != key.Inputs)
        {
            throw Damaged($"{EntryFile} belongs to another key");
        }

        foreach ((string relative, StoredFile stored) in record.Files)
        {
            FileInfo file = new(Path.Combine(folder, relative));
            if (!file.Exists)
            {
                throw Damaged($"{relative} is missing");
            }

            if (file.Length != stored.Bytes)
            {
                throw Damaged($"{relative} has {file.Length} bytes, not {stored.Bytes}");
            }

            string digest = FileDigest.Sha256(file.FullName);
            if (digest != stored.Sha256)
            {
                throw Damaged($"{relative} has SHA-256 {digest[..12]}..., not {stored.Sha256[..12]}...");
            }
        }

        return record;
    }

    private static string[] Subfolders(string folder) => Directory.Exists(folder) ? Directory.GetDirectories(folder) : [];

    private static void DeleteFolder(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void TryDeleteFolder(string folder)
    {
        try
        {
            DeleteFolder(folder);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            // Left for the next run, which clears it under the same lock.
        }
    }

    private string LockFile(StageKey key) => Path.Combine(Root, "locks", $"{key.Stage}-{key.Hash}");

    private string TemporaryFolder(StageKey key) => Path.Combine(Root, "tmp", $"{key.Stage}-{key.Hash}");
}

/// <summary>Where a stage writes.</summary>
/// <param name="Output">An empty folder; what lies in it when the stage returns becomes the entry.</param>
/// <param name="Work">Where checkpoints go that outlive a killed run. Not created yet.</param>
public sealed record StageFolders(string Output, string Work);
