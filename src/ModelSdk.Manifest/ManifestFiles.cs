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
        foreach (AdapterSettings adapter in manifest.Adapters) checker.CheckFile($"adapters/{adapter.Name}/train", adapter.Train);
        checker.CheckEvaluation();
        return [.. checker.Diagnostics.OrderBy(d => d.Start)];
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
            if (LinkProblem(folder) is { } loop)
            {
                Error("base", DiagnosticCodes.PathCycle, loop);
                return;
            }

            if (!Directory.Exists(folder))
            {
                Error("base", DiagnosticCodes.FileNotFound, File.Exists(folder)
                    ? $"The base '{written}' is a file; a folder in Hugging Face layout is needed."
                    : $"The base's folder '{folder}' does not exist.{Hint(written)}");
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
            if (IsManifest(file)) Error(pointer, DiagnosticCodes.PathCycle, $"'{written}' leads back to the manifest itself or to its lock file.");
            else if (LinkProblem(file) is { } loop) Error(pointer, DiagnosticCodes.PathCycle, loop);
            else if (Directory.Exists(file)) Error(pointer, DiagnosticCodes.FileNotFound, $"'{written}' is a folder; a JSONL file is needed.");
            else if (!File.Exists(file)) Error(pointer, DiagnosticCodes.FileNotFound, $"The file '{file}' does not exist.{Hint(written)}");
            else if (ReadProblem(file) is { } problem) Error(pointer, DiagnosticCodes.FileUnreadable, $"The file '{file}' cannot be read: {problem}");
            else return true;
            return false;
        }

        public void CheckEvaluation()
        {
            const string Pointer = "evaluation/data";
            if (manifest.Evaluation is not { } evaluation || !CheckFile(Pointer, evaluation.Data)) return;
            string data = Resolve(result.Path, evaluation.Data);
            foreach (AdapterSettings adapter in manifest.Adapters)
            {
                if (Resolve(result.Path, adapter.Train) != data) continue;
                Report(Pointer, DiagnosticCodes.EvaluationOnTrainingData, ManifestSeverity.Warning, $"The evaluation reads the training data of the adapter '{adapter.Name}', so it measures memory, not skill; give it unseen questions.");
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
        /// What is wrong with a chain of symbolic links that never ends. A link whose target is missing is no cycle; the
        /// system reports both by saying that the path does not exist, but opens neither with the same error.
        /// </summary>
        private static string? LinkProblem(string path)
        {
            if (File.Exists(path) || Directory.Exists(path)) return null;
            try
            {
                using (File.OpenRead(path)) return null;
            }
            catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
            {
                return null;
            }
            catch (IOException)
            {
                return $"The path '{path}' leads back to itself through symbolic links.";
            }
        }

        private static string? ReadProblem(string file)
        {
            try
            {
                using (File.OpenRead(file)) return null;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                return error.Message;
            }
        }

        private static string Hint(string written) =>
            written.Contains('\\') ? " Write folders with '/', which works on every system." : " Paths are relative to the manifest's folder.";

        private void Error(string pointer, string code, string message) => Report(pointer, code, ManifestSeverity.Error, message);

        private void Report(string pointer, string code, ManifestSeverity severity, string message) =>
            Diagnostics.Add(result.At(pointer, code, severity, message));
    }
}
