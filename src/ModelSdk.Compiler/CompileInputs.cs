using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
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

    /// <summary>Training data by adapter name; imported adapters are missing.</summary>
    public required IReadOnlyDictionary<string, InputFile> Training { get; init; }

    /// <summary>Files of imported adapters by adapter name: adapter_config.json and adapter_model.safetensors, as far as they are there.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<InputFile>> Imports { get; init; }

    /// <summary>Texts that the base reads to be quantized, by name; empty where the solver looks at the weights alone.</summary>
    public required IReadOnlyList<InputFile> Calibration { get; init; }

    /// <summary>Questions of budget forcing by adapter name; adapters without it are missing.</summary>
    public required IReadOnlyDictionary<string, InputFile> Budget { get; init; }

    /// <summary>Questions of the verifier by adapter name; adapters without one are missing.</summary>
    public required IReadOnlyDictionary<string, InputFile> Verifier { get; init; }

    /// <summary>The switcher's training data; null without a switcher.</summary>
    public required InputFile? Switcher { get; init; }

    /// <summary>Evaluation data; null when the manifest names none.</summary>
    public required InputFile? Evaluation { get; init; }

    /// <summary>Questions for parallel streams; null when they are not measured.</summary>
    public required InputFile? Streams { get; init; }

    /// <summary>Mixed questions that measure the switcher; null when it is not measured.</summary>
    public required InputFile? Routing { get; init; }

    /// <summary>Files that the grader's command names, beside the manifest: its program or script. Part of every key that grades.</summary>
    public required IReadOnlyList<InputFile> Grader { get; init; }

    /// <summary>Tokens of KV cache.</summary>
    public int Context => Manifest.ContextFor(Architecture.MaxPositions);

    /// <summary>Whether prompts with a stated budget are measured: where the manifest asks for it, or trains for it.</summary>
    public bool StatesBudget => Manifest is { Evaluation: not null, StatedBudget: not null, Adapters.Count: > 0 }
        && (Manifest.Evaluation.Budget is not null || Manifest.Adapters.Any(a => a.Budget is not null));

    /// <summary>The model's modes: the base, then the adapters.</summary>
    public IReadOnlyList<string> Modes => [ModelManifest.BaseMode, .. Manifest.Adapters.Select(a => a.Name)];

    /// <summary>How expected answers are read; null when a program grades, which alone knows.</summary>
    internal AnswerSettings? ReadableAnswer => Manifest.Grader is null ? Manifest.Answer : null;

    /// <summary>Every data file and file of the base, for resolve.</summary>
    public IEnumerable<InputFile> All =>
    [
        .. Base.Values.OrderBy(f => f.Name, StringComparer.Ordinal),
        .. Weights,
        .. Training.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value),
        .. Imports.OrderBy(t => t.Key, StringComparer.Ordinal).SelectMany(t => t.Value),
        .. Budget.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value),
        .. Verifier.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value),
        .. Calibration.Where(c => !Training.Values.Contains(c)),
        .. ((InputFile?[])[Switcher, Evaluation, Streams, Routing]).OfType<InputFile>(),
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
            Training = manifest.Adapters.Where(a => a.Import is null).ToDictionary(a => a.Name, a => Data($"adapters/{a.Name}/train", a.Train), StringComparer.Ordinal),
            Imports = manifest.Adapters.Where(a => a.Import is not null).ToDictionary(
                a => a.Name,
                a => (IReadOnlyList<InputFile>)[.. ImportedAdapter.Files(Path.GetFullPath(Path.Combine(folder, a.Import!))).Select(file => Hash($"adapters/{a.Name}/import/{Path.GetFileName(file)}", file))],
                StringComparer.Ordinal),
            Calibration = !manifest.Quantization.Calibrates
                ? []
                : manifest.Quantization.Calibration is string texts
                    ? [Data("quantization/calibration", texts)]
                    : [.. manifest.Adapters.Where(a => a.Import is null).Select(a => Data($"adapters/{a.Name}/train", a.Train))],
            Budget = manifest.Adapters.Where(a => a.Budget is not null).ToDictionary(a => a.Name, a => Data($"adapters/{a.Name}/budget/data", a.BudgetData!), StringComparer.Ordinal),
            Verifier = manifest.Adapters.Where(a => a.Verifier is not null).ToDictionary(a => a.Name, a => Data($"adapters/{a.Name}/verifier/data", a.VerifierData!), StringComparer.Ordinal),
            Switcher = manifest.Switcher is null ? null : Data("switcher/train", manifest.Switcher.Train),
            Evaluation = manifest.Evaluation is null ? null : Data("evaluation/data", manifest.Evaluation.Data),
            Streams = manifest.Evaluation is { Streams.Count: > 0 } measured && manifest.Adapters.Count > 0 ? Data("evaluation/streamData", measured.StreamData ?? measured.Data) : null,
            Routing = manifest is { Switcher: not null, Evaluation.SwitcherData: string mixed } ? Data("evaluation/switcherData", mixed) : null,
            Grader = manifest.Grader is null
                ? []
                : [.. manifest.Grader.Command.Select((part, i) => (part, i)).Where(p => File.Exists(Path.Combine(folder, p.part))).Select(p => Data($"grader/command/{p.i}", p.part))],
        };

        InputFile Data(string name, string path) => Hash(name, Path.GetFullPath(Path.Combine(folder, path)));
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

    /// <summary>The digest that adapters state of their base's weights.</summary>
    internal string WeightsDigest => AdapterFit.DigestOf(Weights.Select(w => (w.Name["base/".Length..], w.Sha256)));

    /// <summary>The digest of a base file, or "absent".</summary>
    internal string BaseDigest(string name) => Base.TryGetValue(name, out InputFile? file) ? file.Sha256 : "absent";
}
