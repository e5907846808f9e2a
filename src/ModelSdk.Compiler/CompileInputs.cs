using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler;

/// <summary>A file that a compile reads, with its digest at the time of planning.</summary>
/// <param name="Name">Stable name without any machine path, such as <c>base/config.json</c>.</param>
/// <param name="Path">Where it lies.</param>
/// <param name="Bytes">Length.</param>
/// <param name="Sha256">64 hexadecimal digits, in lower case.</param>
public sealed record InputFile(string Name, string Path, long Bytes, string Sha256);

/// <summary>Everything a compile reads: the manifest, and the digest of each file that it names. No path takes part in any key.</summary>
public sealed class CompileInputs
{
    /// <summary>The small files of a base; the last two only where it has them.</summary>
    internal static readonly string[] BaseFiles = ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"];

    /// <summary>The manifest's full path.</summary>
    public required string ManifestPath { get; init; }

    /// <summary>The parsed manifest.</summary>
    public required ModelManifest Manifest { get; init; }

    /// <summary>Gives findings their place in the manifest.</summary>
    public required ManifestResult Source { get; init; }

    /// <summary>Folder of the base checkpoint.</summary>
    public required string BaseFolder { get; init; }

    /// <summary>Shape of the base.</summary>
    public required TransformerConfig Architecture { get; init; }

    /// <summary>The base's weight files: <c>base/model.safetensors</c> or the shards, in the order of their names.</summary>
    public required IReadOnlyList<InputFile> Weights { get; init; }

    /// <summary>The base's small files by name (<c>config.json</c>, ...).</summary>
    public required IReadOnlyDictionary<string, InputFile> Base { get; init; }

    /// <summary>Training data by adapter name.</summary>
    public required IReadOnlyDictionary<string, InputFile> Training { get; init; }

    /// <summary>Evaluation data; null when the manifest names none.</summary>
    public required InputFile? Evaluation { get; init; }

    /// <summary>Tokens of KV cache.</summary>
    public int Context => Manifest.ContextFor(Architecture.MaxPositions);

    /// <summary>Every file, for resolve and for the lock.</summary>
    public IEnumerable<InputFile> All =>
    [
        .. Base.Values.OrderBy(f => f.Name, StringComparer.Ordinal),
        .. Weights,
        .. Training.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value),
        .. Evaluation is null ? [] : new[] { Evaluation },
    ];

    /// <summary>Parses the manifest, checks the files that it names, and hashes them. Findings go to the log.</summary>
    /// <returns>Null when there were errors.</returns>
    /// <exception cref="ModelFormatException">The base checkpoint is damaged or not supported.</exception>
    public static CompileInputs? Read(string manifestPath, CompilerLog log, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(log);
        manifestPath = Path.GetFullPath(manifestPath);
        Announce(log, manifestPath);
        ManifestResult source = ManifestParser.Parse(ReadManifest(manifestPath), manifestPath);
        IReadOnlyList<ManifestDiagnostic> findings = source.Manifest is null ? source.Diagnostics : [.. source.Diagnostics, .. ManifestFiles.Validate(source)];
        foreach (ManifestDiagnostic finding in findings)
        {
            log.Report(ToDiagnostic(finding));
        }

        if (source.Manifest is not ModelManifest manifest || log.HasErrors)
        {
            return null;
        }

        string folder = Path.GetDirectoryName(manifestPath)!;
        string baseFolder = Path.GetFullPath(Path.Combine(folder, manifest.Base.Folder!));
        foreach (string file in (IEnumerable<string>)[.. BaseFiles, Checkpoint.SingleFile, Checkpoint.IndexFile])
        {
            Announce(log, Path.Combine(baseFolder, file)); // also what is absent: it would be read if it were there
        }

        using Checkpoint checkpoint = Checkpoint.Open(baseFolder);
        InputFile Hash(string name, string path)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Announce(log, path);
            try
            {
                return new InputFile(name, path, new FileInfo(path).Length, FileDigest.Sha256(path));
            }
            catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
            {
                throw new CompilerException(DiagnosticCodes.FileUnreadable, $"{path} cannot be read: {exception.Message}", path, innerException: exception);
            }
        }

        return new CompileInputs
        {
            ManifestPath = manifestPath,
            Manifest = manifest,
            Source = source,
            BaseFolder = baseFolder,
            Architecture = checkpoint.Config,
            Weights = [.. checkpoint.Files.Order(StringComparer.Ordinal).Select(file => Hash("base/" + Path.GetRelativePath(baseFolder, file).Replace('\\', '/'), file))],
            Base = BaseFiles
                .Where(name => File.Exists(Path.Combine(baseFolder, name)))
                .ToDictionary(name => name, name => Hash("base/" + name, Path.Combine(baseFolder, name)), StringComparer.Ordinal),
            Training = manifest.Adapters.ToDictionary(a => a.Name, a => Hash($"adapters/{a.Name}/train", Path.GetFullPath(Path.Combine(folder, a.Train))), StringComparer.Ordinal),
            Evaluation = manifest.Evaluation is null ? null : Hash("evaluation/data", Path.GetFullPath(Path.Combine(folder, manifest.Evaluation.Data))),
        };
    }

    private static string ReadManifest(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CompilerException(DiagnosticCodes.FileNotFound, $"There is no manifest {path}.", path, innerException: exception);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw new CompilerException(DiagnosticCodes.FileUnreadable, $"The manifest {path} cannot be read: {exception.Message}", path, innerException: exception);
        }
    }

    // Announced before it is read: a change while reading is then seen by the next build.
    private static void Announce(CompilerLog log, string path)
    {
        string real = RealPath.Of(path);
        log.Input(real, File.Exists(real) ? File.GetLastWriteTimeUtc(real).Ticks : 0);
    }

    /// <summary>A finding of the manifest as the log has it.</summary>
    internal static CompilerDiagnostic ToDiagnostic(ManifestDiagnostic finding) => new(
        finding.Severity switch { ManifestSeverity.Error => DiagnosticLevel.Error, ManifestSeverity.Warning => DiagnosticLevel.Warning, _ => DiagnosticLevel.Info },
        finding.Code,
        finding.Message,
        finding.Path,
        finding.Line,
        finding.Column,
        finding.EndLine,
        finding.EndColumn);

    /// <summary>The digest of a base file, or "absent".</summary>
    internal string BaseDigest(string name) => Base.TryGetValue(name, out InputFile? file) ? file.Sha256 : "absent";
}
