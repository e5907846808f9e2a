using ModelSdk.Manifest.Binding;
using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest;

/// <summary>
/// What can be said of a manifest only with its files at hand: whether they exist, and whether the context fits the
/// base model. For compilers and build tasks; the C# generator opens no files.
/// </summary>
public static class ManifestFiles
{
    /// <summary>The full path of a file that the manifest names.</summary>
    public static string Resolve(string manifestPath, string path) =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(manifestPath)) ?? "", path));

    /// <summary>Checks the files of a parsed manifest; reports each problem once, at the property that names the file.</summary>
    /// <param name="result">A result with a manifest; its path must be the manifest's file.</param>
    /// <returns>Findings in the order of the file; empty when all is well.</returns>
    public static IReadOnlyList<ManifestDiagnostic> Validate(ManifestResult result)
    {
        if (result is null) throw new ArgumentNullException(nameof(result));
        if (result.Manifest is not { } manifest) return [];
        var checker = new Checker(result, manifest);
        checker.CheckBase();
        checker.CheckTraining();
        checker.CheckEvaluation();
        return [.. checker.Diagnostics.OrderBy(d => d.Start)];
    }

    // What the systems say when symbolic links never end: ELOOP, ELOOP, ERROR_CANT_RESOLVE_FILENAME.
    private const int TooManyLinksLinux = 40;
    private const int TooManyLinksMac = 62;
    private const int TooManyLinksWindows = unchecked((int)0x80070781);

    private enum Found
    {
        Nothing,
        File,
        Folder,
        Cycle,
        Unreadable,
    }

    private sealed class Checker(ManifestResult result, ModelManifest manifest)
    {
        public List<ManifestDiagnostic> Diagnostics { get; } = [];

        public void CheckBase()
        {
            if (manifest.Base.Folder is not { } written)
            {
                Error("base", DiagnosticCodes.HubNotSupported, $"The base {manifest.Base.Hub} is on a hub, which is not supported yet; download it and give its folder.");
                return;
            }

            string folder = Resolve(result.Path, written);
            switch (Probe(folder, out string problem))
            {
                case Found.File:
                    Error("base", DiagnosticCodes.FileNotFound, $"The base '{written}' is a file; a folder in Hugging Face layout is needed.");
                    return;
                case Found.Nothing:
                    Error("base", DiagnosticCodes.FileNotFound, $"The base's folder '{folder}' does not exist.{Hint(written)}");
                    return;
                case Found.Cycle:
                    Error("base", DiagnosticCodes.PathCycle, Cycle(folder));
                    return;
                case Found.Unreadable:
                    Error("base", DiagnosticCodes.FileUnreadable, $"The base's folder '{folder}' cannot be read: {problem}");
                    return;
            }

            string config = Path.Combine(folder, "config.json");
            if (!File.Exists(config))
                Error("base", DiagnosticCodes.FileNotFound, $"The folder '{folder}' has no config.json, so it is no model in Hugging Face layout.");
            else if (MaxPositions(config) is { } maxPositions)
                CheckContext(maxPositions);
        }

        public bool CheckFile(string pointer, string written)
        {
            string file = Resolve(result.Path, written);
            if (IsManifest(file))
            {
                Error(pointer, DiagnosticCodes.PathCycle, $"'{written}' leads back to the manifest itself or to its lock file.");
                return false;
            }

            switch (Probe(file, out string problem))
            {
                case Found.File:
                    return true;
                case Found.Folder:
                    Error(pointer, DiagnosticCodes.FileNotFound, $"'{written}' is a folder; a JSONL file is needed.");
                    return false;
                case Found.Cycle:
                    Error(pointer, DiagnosticCodes.PathCycle, Cycle(file));
                    return false;
                case Found.Unreadable:
                    Error(pointer, DiagnosticCodes.FileUnreadable, $"The file '{file}' cannot be read: {problem}");
                    return false;
                default:
                    Error(pointer, DiagnosticCodes.FileNotFound, $"The file '{file}' does not exist.{Hint(written)}");
                    return false;
            }
        }

        /// <summary>Files that something is trained on: place in the manifest, path as written, who is trained.</summary>
        private IEnumerable<(string Pointer, string Written, string Trained)> Training()
        {
            foreach (AdapterSettings adapter in manifest.Adapters)
            {
                string pointer = $"adapters/{adapter.Name}/";
                if (adapter.Import is null) yield return (pointer + "train", adapter.Train, $"the adapter '{adapter.Name}'");
                if (adapter.Budget?.Data is { } questions) yield return (pointer + "budget/data", questions, $"the budget forcing of '{adapter.Name}'");
                if (adapter.Verifier?.Data is { } judged) yield return (pointer + "verifier/data", judged, $"the verifier of '{adapter.Name}'");
            }

            if (manifest.Switcher is { } switcher) yield return ("switcher/train", switcher.Train, "the switcher");
        }

        public void CheckTraining()
        {
            foreach ((string pointer, string written, _) in Training()) CheckFile(pointer, written);
            if (manifest.Quantization.Calibration is { } calibration) CheckFile("quantization/calibration", calibration);
            foreach (AdapterSettings adapter in manifest.Adapters)
            {
                if (adapter.Import is { } folder) CheckImport($"adapters/{adapter.Name}/import", folder);
            }
        }

        private void CheckImport(string pointer, string written)
        {
            string folder = Resolve(result.Path, written);
            if (!Directory.Exists(folder))
                Error(pointer, DiagnosticCodes.FileNotFound, File.Exists(folder) ? $"'{written}' is a file; the folder of an adapter in PEFT's layout is needed." : $"The folder '{folder}' does not exist.{Hint(written)}");
            else if (!File.Exists(Path.Combine(folder, "adapter_config.json")))
                Error(pointer, DiagnosticCodes.FileNotFound, $"The folder '{folder}' has no adapter_config.json, so it is no adapter in PEFT's layout.");
        }

        public void CheckEvaluation()
        {
            if (manifest.Evaluation is not { } evaluation) return;
            CheckUnseen("evaluation/data", evaluation.Data);
            CheckUnseen("evaluation/streamData", evaluation.StreamData);
            CheckUnseen("evaluation/switcherData", evaluation.SwitcherData);
        }

        private void CheckUnseen(string pointer, string? written)
        {
            if (written is null || !CheckFile(pointer, written)) return;
            string data = Resolve(result.Path, written);
            foreach ((_, string seen, string trained) in Training())
            {
                if (Resolve(result.Path, seen) != data) continue;
                Report(pointer, DiagnosticCodes.EvaluationOnTrainingData, ManifestSeverity.Warning, $"The evaluation reads the training data of {trained}, so it measures memory, not skill; give it unseen questions.");
                return;
            }
        }

        private void CheckContext(int maxPositions)
        {
            if (manifest.Context > maxPositions)
                Error("context", DiagnosticCodes.ContextExceedsBase, $"The context of {manifest.Context} tokens is longer than the {maxPositions} positions of the base (max_position_embeddings in its config.json).");
            else if (manifest.Context is null)
                ContextFit.Check(manifest, manifest.ContextFor(maxPositions), Error);
        }

        /// <summary>max_position_embeddings; null where config.json does not tell, which the reader of base models reports.</summary>
        private static int? MaxPositions(string config)
        {
            try
            {
                JsonValue? root = JsonReader.Read(new SourceText(File.ReadAllText(config), config), []);
                JsonValue? value = root?.Properties.FirstOrDefault(p => p.Name == "max_position_embeddings")?.Value;
                return value is { Kind: JsonKind.Number } && int.TryParse(value.Text, out int positions) && positions > 0 ? positions : null;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }

        private bool IsManifest(string file)
        {
            string self = Path.GetFullPath(result.Path);
            return file == self || file == ModelLock.PathFor(self);
        }

        /// <summary>
        /// What a path leads to. Opening tells, not asking whether it exists: a link without a target exists too.
        /// </summary>
        private static Found Probe(string path, out string problem)
        {
            problem = "";
            if (Directory.Exists(path)) return Found.Folder;
            try
            {
                using (File.OpenRead(path)) return Found.File;
            }
            catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
            {
                return Found.Nothing;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                problem = error.Message;
                return error.HResult is TooManyLinksLinux or TooManyLinksMac or TooManyLinksWindows ? Found.Cycle : Found.Unreadable;
            }
        }

        private static string Cycle(string path) => $"The path '{path}' leads back to itself through symbolic links.";

        private static string Hint(string written) =>
            written.Contains('\\') ? " Write folders with '/', which works on every system." : " Paths are relative to the manifest's folder.";

        private void Error(string pointer, string code, string message) => Report(pointer, code, ManifestSeverity.Error, message);

        private void Report(string pointer, string code, ManifestSeverity severity, string message) =>
            Diagnostics.Add(result.At(pointer, code, severity, message));
    }
}
