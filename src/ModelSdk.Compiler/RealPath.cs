namespace ModelSdk.Compiler;

/// <summary>Resolves symbolic links in every part of a path.</summary>
internal static class RealPath
{
    private const int MostLinks = 40; // as Linux

    /// <summary>The full path without links; parts that do not exist stay as they are.</summary>
    public static string Of(string path)
    {
        string full = Path.GetFullPath(path);
        for (int links = 0; links < MostLinks; links++)
        {
            string? next = ResolveFirstLink(full);
            if (next is null)
            {
                return full;
            }

            full = next;
        }

        return full;
    }

    private static string? ResolveFirstLink(string full)
    {
        string root = Path.GetPathRoot(full)!;
        string[] parts = full[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
        string current = root;
        for (int i = 0; i < parts.Length; i++)
        {
            current = Path.Combine(current, parts[i]);
            string? target = i < parts.Length - 1 ? new DirectoryInfo(current).LinkTarget : new FileInfo(current).LinkTarget;
            if (target is not null)
            {
                string resolved = Path.GetFullPath(target, Path.GetDirectoryName(current)!);
                return Path.Combine([resolved, .. parts[(i + 1)..]]);
            }
        }

        return null;
    }
}
