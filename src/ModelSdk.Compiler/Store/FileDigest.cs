using System.Security.Cryptography;

namespace ModelSdk.Compiler.Store;

/// <summary>SHA-256 of files.</summary>
internal static class FileDigest
{
    /// <summary>64 hexadecimal digits, in lower case.</summary>
    public static string Sha256(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Size and digest of every file below a folder, by path with forward slashes, in ordinal order.</summary>
    public static SortedDictionary<string, StoredFile> Folder(string folder)
    {
        SortedDictionary<string, StoredFile> files = new(StringComparer.Ordinal);
        foreach (string path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(folder, path).Replace(Path.DirectorySeparatorChar, '/');
            files.Add(relative, new StoredFile(new FileInfo(path).Length, Sha256(path)));
        }

        return files;
    }
}
