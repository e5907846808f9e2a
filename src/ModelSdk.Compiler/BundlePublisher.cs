using System.Security.Cryptography;
using System.Text;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler;

/// <summary>Copies a bundle from the store to where the user wants it, so that readers see the old bundle or the new one, never half of one.</summary>
internal static class BundlePublisher
{
    /// <summary>Publishes the bundle with its reports.</summary>
    /// <param name="bundle">The bundle's store entry.</param>
    /// <param name="store">Lends the lock that keeps two compiles with one output apart.</param>
    /// <param name="output">The folder to make or replace; only an empty folder or a bundle is replaced.</param>
    /// <param name="reports">Report files by name, which belong to this run and are not covered by the bundle's digest.</param>
    /// <param name="cancellationToken">Ends the waiting for the lock.</param>
    /// <exception cref="CompilerException">MDL5004: the folder holds something else. MDL5005, MDL5002: it cannot be written.</exception>
    public static async Task PublishAsync(StoreEntry bundle, ArtifactStore store, string output, IReadOnlyDictionary<string, byte[]> reports, CancellationToken cancellationToken)
    {
        output = Path.TrimEndingDirectorySeparator(Path.GetFullPath(output));
        string name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(output)))[..32];
        try
        {
            string parent = Path.GetDirectoryName(output) ?? throw new CompilerException(DiagnosticCodes.OutputIsNoBundle, $"The output folder {output} is the root of a volume. Give a folder of its own with --out.");
            Directory.CreateDirectory(parent);
            using StoreLock held = await StoreLock.AcquireAsync(Path.Combine(store.Root, "locks", $"output-{name}"), static () => { }, cancellationToken).ConfigureAwait(false);
            Refuse(output);
            if (IsUpToDate(bundle, output, reports))
            {
                foreach ((string file, byte[] content) in reports)
                {
                    string temporary = Path.Combine(output, $".{file}.tmp");
                    await File.WriteAllBytesAsync(temporary, content, cancellationToken).ConfigureAwait(false);
                    File.Move(temporary, Path.Combine(output, file), overwrite: true);
                }

                return;
            }

            string staged = Path.Combine(parent, $".modelsdk-{name}.new");
            string old = Path.Combine(parent, $".modelsdk-{name}.old");
            Delete(staged);
            Delete(old);
            foreach (string relative in bundle.Record.Files.Keys)
            {
                string target = Path.Combine(staged, relative);
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(bundle.File(relative), target);
            }

            foreach ((string file, byte[] content) in reports)
            {
                await File.WriteAllBytesAsync(Path.Combine(staged, file), content, cancellationToken).ConfigureAwait(false);
            }

            if (Directory.Exists(output))
            {
                Directory.Move(output, old);
            }

            Directory.Move(staged, output);
            Delete(old);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw StoreErrors.Output(exception, output);
        }
    }

    // The files of the bundle lie there with the right content already: they keep their times, so that no build copies them again.
    private static bool IsUpToDate(StoreEntry bundle, string output, IReadOnlyDictionary<string, byte[]> reports)
    {
        if (!Directory.Exists(output))
        {
            return false;
        }

        HashSet<string> present = [.. Directory.EnumerateFiles(output, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(output, f).Replace('\\', '/'))];
        present.ExceptWith(reports.Keys);
        return present.SetEquals(bundle.Record.Files.Keys)
            && bundle.Record.Files.All(file => new FileInfo(Path.Combine(output, file.Key)).Length == file.Value.Bytes)
            && bundle.Record.Files.All(file => FileDigest.Sha256(Path.Combine(output, file.Key)) == file.Value.Sha256);
    }

    private static void Refuse(string output)
    {
        if (File.Exists(output))
        {
            throw new CompilerException(DiagnosticCodes.OutputIsNoBundle, $"The output {output} is a file. Give a folder with --out.", output);
        }

        if (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any() && !File.Exists(Path.Combine(output, BundleManifest.FileName)))
        {
            throw new CompilerException(
                DiagnosticCodes.OutputIsNoBundle,
                $"The output folder {output} holds files but no {BundleManifest.FileName}, so it is no bundle and is not replaced. Give another folder with --out, or empty this one.",
                output);
        }
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
