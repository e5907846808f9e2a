using System.Text.Json;
using System.Text.Json.Serialization;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Checks what the manifest names before minutes are spent on it: tokenizer and chat template of the base, each line of data. Takes a
/// copy of the small files, so that later stages read what was checked even when the originals change meanwhile.
/// </summary>
internal static class ResolveStage
{
    /// <summary>Folder in the entry: the base's small files.</summary>
    public const string BaseFolder = "base";

    /// <summary>File in the entry: the evaluation data.</summary>
    public const string EvaluationData = "data/evaluation.jsonl";

    /// <summary>File in the entry: the questions for parallel streams.</summary>
    public const string StreamData = "data/streams.jsonl";

    /// <summary>File in the entry: the mixed questions that measure the switcher.</summary>
    public const string RoutingData = "data/routing.jsonl";

    /// <summary>File in the entry: the switcher's training data.</summary>
    public const string SwitcherData = "data/switcher.jsonl";

    /// <summary>File in the entry: the texts of the calibration, where the manifest names a file of their own.</summary>
    public const string CalibrationData = "data/calibration.jsonl";

    private const int Version = 2;
    private const string FindingsFile = "findings.json";

    /// <summary>File in the entry: an adapter's training data.</summary>
    public static string TrainingFile(string adapter) => $"data/train.{adapter}.jsonl";

    /// <summary>Folder in the entry: an imported adapter.</summary>
    public static string ImportFolder(string adapter) => $"adapters/{adapter}";

    /// <summary>File in the entry: an adapter's questions of budget forcing.</summary>
    public static string BudgetFile(string adapter) => $"data/budget.{adapter}.jsonl";

    /// <summary>File in the entry: an adapter's questions of the verifier.</summary>
    public static string VerifierFile(string adapter) => $"data/verifier.{adapter}.jsonl";

    public static StageKey Key(CompileInputs inputs)
    {
        ModelManifest manifest = inputs.Manifest;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Resolve, Version)
            .Add("context", inputs.Context)
            .Add("system", manifest.Prompt.System)
            .Add("graded", manifest.Grader is null ? "by type" : "by a program")
            .Add("maxExamples", manifest.Evaluation?.MaxExamples ?? -1)
            .Add("maxTokens", manifest.Evaluation?.MaxTokens ?? -1);
        if (manifest.Grader is null)
        {
            key.Add("answer", manifest.Answer.Type.ToString());
            foreach (ChoiceSettings choice in manifest.Answer.Choices)
            {
                key.Add("choice", choice.Text);
            }
        }

        // What decides whether prompts fit the context.
        if (LongestStated(inputs) is int stated)
        {
            key.Add("budgetText", manifest.Prompt.Budget).Add("stated", stated);
        }

        foreach (AdapterSettings adapter in manifest.Adapters)
        {
            if (adapter.Budget is BudgetForcingSettings budget)
            {
                key.Add("forcingText", manifest.Prompt.Budget).Add("longest", budget.StatedShare > 0 ? budget.Budgets.Max() : -1).Add("completion", budget.MaxTokens);
            }

            if (adapter.Verifier is VerifierSettings verifier)
            {
                key.Add("verification", verifier.Prompt);
            }
        }

        foreach (AdapterSettings adapter in manifest.Switcher is null ? [] : manifest.Adapters)
        {
            key.Add("mode", adapter.Name);
        }

        foreach (InputFile file in inputs.All)
        {
            key.Add(file.Name, file.Sha256);
        }

        return key.Build();
    }

    public static void Run(CompileInputs inputs, StageFolders folders, Action<string, double> progress, CancellationToken cancellationToken)
    {
        ModelManifest manifest = inputs.Manifest;
        string baseFolder = Path.Combine(folders.Output, BaseFolder);
        Directory.CreateDirectory(baseFolder);
        Directory.CreateDirectory(Path.Combine(folders.Output, "data"));
        foreach ((string name, InputFile file) in inputs.Base)
        {
            Snapshot(file, Path.Combine(baseFolder, name));
        }

        progress("tokenizer and chat template", 0);
        PromptEncoder encoder = new(baseFolder, manifest.Prompt);
        if (encoder.Tokenizer.Count > inputs.Architecture.VocabularySize)
        {
            throw new ModelFormatException(
                DiagnosticCodes.TokenizerContradictory,
                $"The tokenizer has {encoder.Tokenizer.Count} tokens, but the model's vocabulary has {inputs.Architecture.VocabularySize}. The two are not of one model.",
                inputs.Base["tokenizer.json"].Path);
        }

        EndTokens.Of(baseFolder, encoder);
        List<Finding> findings = [];
        HashSet<string> trained = new(StringComparer.Ordinal);
        void Learn(IEnumerable<TrainingExample> examples) =>
            trained.UnionWith(examples.SelectMany(e => e.Turns).Where(t => t.Role == "user").Select(t => GrpoDataset.WithoutBudget(t.Content, manifest.Prompt.Budget)));
        for (int i = 0; i < manifest.Adapters.Count; i++)
        {
            AdapterSettings adapter = manifest.Adapters[i];
            cancellationToken.ThrowIfCancellationRequested();
            if (inputs.Imports.TryGetValue(adapter.Name, out IReadOnlyList<InputFile>? imported))
            {
                progress($"the imported adapter {adapter.Name}", 0.2);
                string copy = Path.Combine(folders.Output, ImportFolder(adapter.Name));
                Directory.CreateDirectory(copy);
                foreach (InputFile file in imported)
                {
                    Snapshot(file, Path.Combine(copy, Path.GetFileName(file.Path)));
                }

                if (ImportedAdapter.Check(inputs, adapter, copy, encoder) is string unmasked)
                {
                    findings.Add(new Finding(DiagnosticCodes.UnmaskedAdapter, unmasked) { Pointer = $"adapters/{adapter.Name}/import" });
                }
            }
            else
            {
                progress($"training data of {adapter.Name}", 0.2);
                Learn(Take(inputs.Training[adapter.Name], folders, TrainingFile(adapter.Name)));
            }

            if (!adapter.Masked)
            {
                findings.Add(new Finding(
                    DiagnosticCodes.UnmaskedAdapter,
                    $"The adapter {adapter.Name} is trained on prompts too (\"masked\": false, an ablation). The runtime never runs adapters on prompts, so as deployed it works worse than its training says.")
                { Pointer = $"adapters/{adapter.Name}/masked" });
            }

            if (adapter.Budget is BudgetForcingSettings budget)
            {
                progress($"questions of budget forcing of {adapter.Name}", 0.3);
                InputFile file = inputs.Budget[adapter.Name];
                IReadOnlyList<TrainingExample> examples = Take(file, folders, BudgetFile(adapter.Name));
                Question.Read(file.Path, file.Path, inputs.ReadableAnswer, most: null);
                GrpoDataset.Encode(file.Path, examples, encoder.Tokenizer, encoder.Template, manifest.Prompt, budget, inputs.Context);
                Learn(examples);
            }

            if (adapter.Verifier is VerifierSettings verifier)
            {
                progress($"questions of the verifier of {adapter.Name}", 0.4);
                InputFile file = inputs.Verifier[adapter.Name];
                Learn(Take(file, folders, VerifierFile(adapter.Name)));
                int after = encoder.Tokenizer.Encode(verifier.Prompt).Length + 1;
                foreach (Question question in Question.Read(file.Path, file.Path, inputs.ReadableAnswer, most: null))
                {
                    Fit(inputs, encoder, file, question, null, after, "the verification prompt");
                }
            }
        }

        if (inputs.Switcher is not null)
        {
            progress("training data of the switcher", 0.5);
            IReadOnlyList<TrainingExample> examples = Take(inputs.Switcher, folders, SwitcherData);
            Training.Heads.SwitcherData.Encode(inputs.Switcher.Path, examples, [.. manifest.Adapters.Select(a => a.Name)], encoder.Tokenizer, encoder.Template, manifest.Prompt.System, inputs.Context);
            Learn(examples);
        }

        if (manifest.Quantization is { Calibrates: true, Calibration: not null })
        {
            progress("texts of the calibration", 0.5);
            InputFile file = inputs.Calibration.Single();
            SftDataset.Encode(file.Path, Take(file, folders, CalibrationData), encoder.Tokenizer, encoder.Template, manifest.Prompt.System, inputs.Context);
        }

        progress("evaluation data", 0.6);
        CheckQuestions(inputs, inputs.Evaluation, EvaluationData, LongestStated(inputs), folders, encoder, trained, findings);
        CheckQuestions(inputs, inputs.Streams, StreamData, null, folders, encoder, trained, findings);
        CheckQuestions(inputs, inputs.Routing, RoutingData, null, folders, encoder, trained, findings);
        File.WriteAllBytes(Path.Combine(folders.Output, FindingsFile), JsonSerializer.SerializeToUtf8Bytes(findings, FindingsJson.Default.ListFinding));
        progress("all inputs are sound", 1);
    }

    /// <summary>Reports the warnings of an entry, whether it was made now or long ago, at their places in today's files.</summary>
    public static void ReplayFindings(StoreEntry resolved, CompileInputs inputs, CompilerLog log)
    {
        foreach (Finding finding in JsonSerializer.Deserialize(File.ReadAllBytes(resolved.File(FindingsFile)), FindingsJson.Default.ListFinding) ?? [])
        {
            log.Report(finding.Pointer is not null
                ? CompileInputs.ToDiagnostic(inputs.Source.At(finding.Pointer, finding.Code, ManifestSeverity.Warning, finding.Message))
                : new CompilerDiagnostic(DiagnosticLevel.Warning, finding.Code, finding.Message, inputs.All.Single(f => f.Name == finding.Input).Path, finding.Line, 1));
        }
    }

    // The budget with the longest statement that evaluation writes into prompts.
    private static int? LongestStated(CompileInputs inputs)
    {
        IEnumerable<int> stated = [.. inputs.StatesBudget ? [inputs.Manifest.StatedBudget!.Value] : (int[])[], .. inputs.Manifest.Evaluation?.HardBudgets ?? []];
        return stated.Any() ? stated.Max() : null;
    }

    private static IReadOnlyList<TrainingExample> Take(InputFile file, StageFolders folders, string copy)
    {
        Snapshot(file, Path.Combine(folders.Output, copy));
        return TrainingData.Read(file.Path);
    }

    private static void CheckQuestions(CompileInputs inputs, InputFile? file, string copy, int? stated, StageFolders folders, PromptEncoder encoder, HashSet<string> trained, List<Finding> findings)
    {
        if (file is null)
        {
            return;
        }

        EvaluationSettings settings = inputs.Manifest.Evaluation!;
        Snapshot(file, Path.Combine(folders.Output, copy));
        int seen = 0;
        int firstSeen = 0;
        foreach (Question question in Question.Read(file.Path, file.Path, inputs.ReadableAnswer, copy == EvaluationData ? settings.MaxExamples : null, copy == RoutingData ? inputs.Modes : null))
        {
            Fit(inputs, encoder, file, question, stated, settings.MaxTokens, $"an answer of evaluation.maxTokens = {settings.MaxTokens}");
            if (trained.Contains(GrpoDataset.WithoutBudget(question.Text, inputs.Manifest.Prompt.Budget)))
            {
                seen++;
                firstSeen = firstSeen == 0 ? question.Line : firstSeen;
            }
        }

        if (seen > 0)
        {
            findings.Add(new Finding(
                DiagnosticCodes.EvaluationQuestionTrained,
                $"{seen} evaluation {(seen == 1 ? "question is" : "questions are")} in the training data word for word, this one first: the measured accuracy says little about unseen questions.")
            { Input = file.Name, Line = firstSeen });
        }
    }

    private static void Fit(CompileInputs inputs, PromptEncoder encoder, InputFile file, Question question, int? stated, int after, string what)
    {
        int length = encoder.Prompt(question.Turns, stated).Length + encoder.GenerationPrompt().Length + after;
        if (length > inputs.Context)
        {
            throw new CompilerException(
                DiagnosticCodes.ExampleTooLong,
                $"This question and {what} take {length} tokens; the context has {inputs.Context}. Shorten the question, lower maxTokens, or raise the context.",
                file.Path,
                question.Line,
                1);
        }
    }

    // The copy must be the very bytes whose digest is in the key.
    private static void Snapshot(InputFile file, string target)
    {
        File.Copy(file.Path, target, overwrite: true);
        File.SetLastWriteTimeUtc(target, DateTime.UtcNow);
        if (FileDigest.Sha256(target) != file.Sha256)
        {
            throw new CompilerException(DiagnosticCodes.InputChanged, $"{file.Path} was changed while it was compiled. Compile again.", file.Path);
        }
    }
}

/// <summary>A warning that belongs to the inputs; holds no path, because another checkout with the same content reads the same entry.</summary>
/// <param name="Code">Diagnostic code.</param>
/// <param name="Message">What was found.</param>
internal sealed record Finding(string Code, string Message)
{
    /// <summary>A value of the manifest, or null.</summary>
    public string? Pointer { get; init; }

    /// <summary>Name of an input file, where <see cref="Pointer"/> is null.</summary>
    public string? Input { get; init; }

    /// <summary>1-based line in that file.</summary>
    public int Line { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(List<Finding>))]
internal sealed partial class FindingsJson : JsonSerializerContext;
