using System.Globalization;
using System.Text;
using Microsoft.Build.Framework;
using ModelSdk.Manifest;

namespace ModelSdk.Tasks;

/// <summary>
/// Runs one phase of <c>modelc compile</c>, or <c>modelc clean</c>, out of process and turns what it reports into diagnostics and messages of the build.
/// After the last phase it also writes the state by which the next build knows that nothing has changed.
/// </summary>
/// <remarks>
/// No <c>ToolTask</c>: that closes the tool's input at once on Windows, but the end of its input is how modelc learns that
/// it should write a checkpoint and stop.
/// </remarks>
public sealed class CompileReasoningModel : Microsoft.Build.Utilities.Task, ICancelableTask
{
    /// <summary>modelc's exit code when it was asked to stop.</summary>
    private const int Interrupted = 130;

    private readonly CompilerProcess process = new();
    private readonly List<InputFile> inputs = [];
    private PhaseReport? report;
    private string? bundleName;

    /// <summary>
    /// The manifest, <c>*.model.json</c>, with metadata <c>BundleFolder</c> (receives the bundle) and <c>StateFile</c>
    /// (path without extension of this model's state in the intermediate folder).
    /// </summary>
    [Required]
    public ITaskItem Model { get; set; } = null!;

    /// <summary>What the compiler does: compile or clean.</summary>
    public string Command { get; set; } = "compile";

    /// <summary>The stage after which this phase of a compile ends: resolve, quantize, sft, budget, switcher, verifier, export, evaluate or bundle.</summary>
    public string Stage { get; set; } = "";

    /// <summary>
    /// modelc.dll, with metadata <c>DotNetHost</c> (full path of the host that runs it), <c>Store</c> (empty: the compiler's default),
    /// <c>Offline</c>, <c>LockedMode</c>, <c>LibTorchFolder</c> (empty: the compiler looks for itself) and <c>CancelTimeout</c>
    /// (seconds for a checkpoint when the build is cancelled).
    /// </summary>
    [Required]
    public ITaskItem Compiler { get; set; } = null!;

    /// <summary>Lines of the key file before those of the inputs: options and compiler.</summary>
    public string[] KeyHeader { get; set; } = [];

    private string ManifestPath => Model.GetMetadata("FullPath");

    private string BundleFolder => Model.GetMetadata("BundleFolder");

    /// <summary>Holds when the first phase of this build began: what was made since then, in whatever process, was made by this build.</summary>
    private string StartedFile => StateFile + ".started";

    private bool IsFirstPhase => Stage == "resolve";

    private string StateFile => Model.GetMetadata("StateFile");

    private bool IsLastPhase => Stage == "bundle";

    /// <inheritdoc/>
    public void Cancel() => process.Cancel(TimeSpan.FromSeconds(int.TryParse(Compiler.GetMetadata("CancelTimeout"), out int seconds) ? seconds : 60));

    /// <inheritdoc/>
    public override bool Execute()
    {
        report = new PhaseReport(Log, BuildEngine, DisplayName(ManifestPath), Stage);
        if (IsFirstPhase) File.WriteAllText(StartedFile, DateTime.UtcNow.ToString("o", CultureInfo.InvariantCulture));
        string responseFile = $"{StateFile}.{(Command == "compile" ? Stage : Command)}.rsp";
        File.WriteAllLines(responseFile, Arguments(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        string host = Compiler.GetMetadata("DotNetHost"), compilerPath = Compiler.GetMetadata("FullPath");
        Log.LogMessage(MessageImportance.Low, "{0} {1} @{2}", host, compilerPath, responseFile);

        var environment = new Dictionary<string, string>();
        if (Compiler.GetMetadata("LibTorchFolder") is { Length: > 0 } libTorch) environment["MODELSDK_LIBTORCH"] = libTorch;

        int exitCode;
        try
        {
            if (!File.Exists(compilerPath)) throw new FileNotFoundException("The file does not exist. Restore the packages again.");
            exitCode = process.Run(host, [compilerPath, "@" + responseFile], environment, ReadLine, report.ToolError);
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or FileNotFoundException)
        {
            Log.LogError(null, DiagnosticCodes.CompilerNotStarted, null, DiagnosticCodes.HelpLink(DiagnosticCodes.CompilerNotStarted), ManifestPath, 0, 0, 0, 0,
                "The model compiler '{0}' could not be started with '{1}': {2}", compilerPath, host, e.Message);
            return false;
        }

        if (process.IsCancelled) return false;
        if (Log.HasLoggedErrors) return false;
        if (exitCode != 0)
        {
            string what = exitCode == Interrupted
                ? "was interrupted in '{1}'; the next build goes on from its last checkpoint."
                : "ended with exit code {0} in '{1}' and named no reason.{2}";
            Log.LogError(null, DiagnosticCodes.CompilerFailed, null, DiagnosticCodes.HelpLink(DiagnosticCodes.CompilerFailed), ManifestPath, 0, 0, 0, 0,
                "The model compiler " + what, exitCode, Stage.Length > 0 ? Stage : Command, report.LastToolErrors());
            return false;
        }

        return !IsLastPhase || WriteState();
    }

    private IEnumerable<string> Arguments()
    {
        yield return Command;
        yield return ManifestPath;
        yield return "--log";
        yield return "json";
        if (Command == "compile")
        {
            yield return "--out";
            yield return BundleFolder;
            yield return "--through";
            yield return Stage;
            yield return "--exit-with-stdin";
            if (File.Exists(StartedFile))
            {
                yield return "--since";
                yield return File.ReadAllText(StartedFile);
            }

            if (Compiler.GetMetadata("Offline") == "true") yield return "--offline";
            if (Compiler.GetMetadata("LockedMode") == "true") yield return "--locked";
        }

        if (Compiler.GetMetadata("Store") is { Length: > 0 } store)
        {
            yield return "--store";
            yield return store;
        }
    }

    private void ReadLine(string line)
    {
        CompilerEvent? received = CompilerEvent.Parse(line);
        switch (received?.Kind)
        {
            case "input" when received["file"] is { Length: > 0 } file:
                inputs.Add(new InputFile(file, received.Integer("modified")));
                break;
            case "bundle":
                bundleName = received["name"];
                report!.Bundle(Path.Combine(BundleFolder, "report.html"), received["headline"]);
                break;
            default:
                report!.Add(received, line, ManifestPath);
                break;
        }
    }

    /// <summary>
    /// What the next build compares or copies: the inputs with their times as they were when read, the bundle's files, and
    /// last the stamp. A build that is stopped between them finds the stamp too old and asks the compiler again.
    /// </summary>
    private bool WriteState()
    {
        if (string.IsNullOrEmpty(bundleName) || !Directory.Exists(BundleFolder))
        {
            Log.LogError(null, DiagnosticCodes.NoBundle, null, DiagnosticCodes.HelpLink(DiagnosticCodes.NoBundle), ManifestPath, 0, 0, 0, 0,
                "The model compiler ended without a bundle in '{0}'.", BundleFolder);
            return false;
        }

        var encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        string root = Path.GetFullPath(BundleFolder).TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar;
        IEnumerable<string> files = Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories)
            .Select(file => file.Substring(root.Length).Replace('\\', '/'))
            .OrderBy(file => file, StringComparer.Ordinal);
        List<InputFile> distinct = [.. inputs.GroupBy(input => input.Path, StringComparer.Ordinal).Select(group => group.First())];

        File.WriteAllLines(StateFile + ".outputs", files, encoding);
        File.WriteAllText(StateFile + ".folder", bundleName!.ToLowerInvariant(), encoding);
        File.WriteAllLines(StateFile + ".inputs", distinct.Select(input => input.Path), encoding);
        File.WriteAllLines(StateFile + ".key", KeyHeader.Concat(distinct.Select(input => input.KeyLine())), encoding);
        File.WriteAllText(StateFile + ".stamp", DateTime.UtcNow.ToString("o", CultureInfo.InvariantCulture), encoding);
        return true;
    }

    private static string DisplayName(string manifest)
    {
        string name = Path.GetFileName(manifest);
        return name.EndsWith(".model.json", StringComparison.OrdinalIgnoreCase) ? name.Substring(0, name.Length - ".model.json".Length) : name;
    }
}
