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

    private const int Version = 1;
    private const string FindingsFile = "findings.json";

    /// <summary>File in the entry: an adapter's training data.</summary>
    public static string TrainingFile(string adapter) => $"data/train.{adapter}.jsonl";

    public static StageKey Key(CompileInputs inputs)
    {
        ModelManifest manifest = inputs.Manifest;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Resolve, Version)
            .Add("context", inputs.Context)
            .Add("system", manifest.Prompt.System)
            .Add("answer", manifest.Answer.Type.ToString())
            .Add("maxExamples", manifest.Evaluation?.MaxExamples ?? -1)
            .Add("maxTokens", manifest.Evaluation?.MaxTokens ?? -1);
        foreach (ChoiceSettings choice in manifest.Answer.Choices)
        {
            key.Add("choice", choice.Text);
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
        PromptEncoder encoder = new(baseFolder, manifest.Prompt.System);
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
        for (int i = 0; i < manifest.Adapters.Count; i++)
        {
            AdapterSettings adapter = manifest.Adapters[i];
            cancellationToken.ThrowIfCancellationRequested();
            progress($"training data of {adapter.Name}", 0.2);
            string copy = Path.Combine(folders.Output, TrainingFile(adapter.Name));
            Snapshot(inputs.Training[adapter.Name], copy);
            foreach (TrainingExample example in TrainingData.Read(inputs.Training[adapter.Name].Path))
            {
                trained.UnionWith(example.Turns.Where(t => t.Role == "user").Select(t => t.Content));
            }

            if (!adapter.Masked)
            {
                findings.Add(new Finding(
                    DiagnosticCodes.UnmaskedAdapter,
                    $"The adapter {adapter.Name} is trained on prompts too (\"masked\": false, an ablation). The runtime never runs adapters on prompts, so as deployed it works worse than its training says.")
                { Pointer = $"adapters/{adapter.Name}/masked" });
            }
        }

        if (inputs.Evaluation is not null)
        {
            progress("evaluation data", 0.6);
            Snapshot(inputs.Evaluation, Path.Combine(folders.Output, EvaluationData));
            CheckQuestions(inputs, encoder, trained, findings);
        }

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

    private static void CheckQuestions(CompileInputs inputs, PromptEncoder encoder, HashSet<string> trained, List<Finding> findings)
    {
        EvaluationSettings settings = inputs.Manifest.Evaluation!;
        string path = inputs.Evaluation!.Path;
        int generation = encoder.GenerationPrompt().Length;
        int seen = 0;
        int firstSeen = 0;
        foreach (Question question in Question.Read(path, path, inputs.Manifest.Answer, settings.MaxExamples))
        {
            int length = encoder.Prompt(question.Turns).Length + generation + settings.MaxTokens;
            if (length > inputs.Context)
            {
                throw new CompilerException(
                    DiagnosticCodes.ExampleTooLong,
                    $"This question and an answer of evaluation.maxTokens = {settings.MaxTokens} take {length} tokens; the context has {inputs.Context}. Shorten the question, lower maxTokens, or raise the context.",
                    path,
                    question.Line,
                    1);
            }

            if (trained.Contains(question.Text))
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
            { Input = inputs.Evaluation.Name, Line = firstSeen });
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
