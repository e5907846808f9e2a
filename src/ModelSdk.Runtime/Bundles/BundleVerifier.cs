using System.Security.Cryptography;
using System.Text;

using Microsoft.Win32.SafeHandles;

using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Bundles;

/// <summary>Checks the files of a bundle against its manifest.</summary>
public static class BundleVerifier
{
    private const int BufferBytes = 1 << 20;

    /// <summary>Checks every file that the manifest lists, several at a time.</summary>
    /// <param name="bundleFolder">The bundle's folder.</param>
    /// <param name="manifest">Its manifest.</param>
    /// <param name="check">How thoroughly.</param>
    /// <param name="cancellationToken">Stops between pieces of a file.</param>
    /// <exception cref="BundleException">A file is missing, has another length, or other contents. The first wrong file, by name, is reported.</exception>
    public static void Verify(string bundleFolder, BundleManifest manifest, BundleCheck check = BundleCheck.Full, CancellationToken cancellationToken = default)
    {
        string[] files = [.. manifest.Files.Keys.Order(StringComparer.Ordinal)];
        foreach (string file in files)
            CheckLength(bundleFolder, file, manifest.Files[file]);
        if (check == BundleCheck.Lengths)
            return;

        VerifiedNote? note = check == BundleCheck.OncePerFile ? VerifiedNote.For(bundleFolder, manifest) : null;
        if (note is not null && note.IsCurrent())
            return;

        // Largest first, so that the one big file does not start last.
        string[] bySize = [.. files.OrderByDescending(f => manifest.Files[f].Bytes)];
        bool[] wrong = new bool[bySize.Length];
        Parallel.For(
            0,
            bySize.Length,
            new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount },
            i => wrong[i] = HashFile(Path.Combine(bundleFolder, bySize[i]), cancellationToken) != manifest.Files[bySize[i]].Sha256);

        string? first = null;
        for (int i = 0; i < wrong.Length; i++)
        {
            if (wrong[i] && (first is null || string.CompareOrdinal(bySize[i], first) < 0))
                first = bySize[i];
        }

        if (first is not null)
        {
            throw new BundleException(
                DiagnosticCodes.BundleTampered,
                $"The file {first} is damaged or was changed after the bundle was written: its SHA-256 is not the one in {BundleManifest.FileName}. Build the model again, or copy the bundle again.",
                bundleFolder);
        }

        note?.Write();
    }

    /// <summary>SHA-256 of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Stops between pieces of the file.</param>
    /// <returns>64 lower-case hex digits.</returns>
    public static string HashFile(string path, CancellationToken cancellationToken = default)
    {
        using SafeFileHandle handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long length = RandomAccess.GetLength(handle);
        byte[] buffer = new byte[Math.Clamp(length, 1, BufferBytes)];
        long offset = 0;
        int read;
        while ((read = RandomAccess.Read(handle, buffer, offset)) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            hash.AppendData(buffer, 0, read);
            offset += read;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void CheckLength(string bundleFolder, string file, BundleFile expected)
    {
        FileInfo info = new(Path.Combine(bundleFolder, file));
        if (!info.Exists)
        {
            throw new BundleException(
                DiagnosticCodes.BundleFileMissing,
                $"The file {file} is missing. Build the model again, or copy the whole bundle.",
                bundleFolder);
        }

        if (info.Length != expected.Bytes)
        {
            throw new BundleException(
                DiagnosticCodes.BundleFileTruncated,
                $"The file {file} has {info.Length} bytes, but {expected.Bytes} are expected: it was truncated or replaced. Build the model again, or copy the bundle again.",
                bundleFolder);
        }
    }
}

/// <summary>A note in the user's cache folder: these files, with these lengths and times of change, had the digest of the manifest.</summary>
internal sealed class VerifiedNote
{
    private readonly string _path;
    private readonly string _content;

    private VerifiedNote(string path, string content)
    {
        _path = path;
        _content = content;
    }

    /// <summary>Where notes lie; null where the user has no such folder, so that every load hashes.</summary>
    public static string? Folder { get; set; } = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } cache
        ? Path.Combine(cache, "modelsdk", "verified")
        : null;

    public static VerifiedNote? For(string bundleFolder, BundleManifest manifest)
    {
        if (Folder is null)
            return null;
        string folder = Path.GetFullPath(bundleFolder);
        StringBuilder content = new();
        content.Append(manifest.Digest).Append('\n').Append(folder).Append('\n');
        foreach (string file in manifest.Files.Keys.Order(StringComparer.Ordinal))
        {
            FileInfo info = new(Path.Combine(folder, file));
            content.Append(file).Append('\t').Append(info.Length).Append('\t').Append(info.LastWriteTimeUtc.Ticks).Append('\n');
        }

        string name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)));
        return new VerifiedNote(Path.Combine(Folder, name), content.ToString());
    }

    public bool IsCurrent()
    {
        try
        {
            return File.ReadAllText(_path) == _content;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Best effort: a cache folder that cannot be written only means hashing again.</summary>
    public void Write()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            string temporary = $"{_path}.{Environment.ProcessId}.tmp";
            File.WriteAllText(temporary, _content);
            File.Move(temporary, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
