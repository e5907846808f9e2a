using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Stages;

/// <summary>Puts the bundle together with what was measured, and checks it against the manifest's targets.</summary>
internal static class BundleStage
{
    private const int Version = 2;

    public static StageKey Key(CompileInputs inputs, StageKey export, StageKey? evaluate)
    {
        ModelManifest manifest = inputs.Manifest;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Bundle, Version)
            .Add("compiler", CompilerVersion.Text)
            .Add("export", export)
            .Add("evaluate", evaluate?.ToString())
            .Add("name", manifest.Name)
            .Add("default", manifest.DefaultMode)
            .Add("answer", manifest.Answer.Type.ToString())
            .Add("answerTokens", manifest.AnswerTokens)
            .Add("system", manifest.Prompt.System)
            .Add("budget", manifest.Prompt.Budget)
            .Add("thinkOpen", manifest.Prompt.ThinkOpen)
            .Add("thinkClose", manifest.Prompt.ThinkClose)
            .Add("forceAnswer", manifest.Prompt.ForceAnswer);
        if (manifest.Switcher is SwitcherSettings switcher)
        {
            key.Add("threshold", switcher.Threshold);
        }

        foreach (ChoiceSettings choice in manifest.Answer.Choices)
        {
            key.Add("choice", choice.Text);
        }

        foreach (BudgetSettings budget in manifest.Budgets)
        {
            key.Add("budget " + budget.Name, $"{budget.Tokens} x {budget.Streams}");
        }

        foreach (TargetSettings target in manifest.Targets)
        {
            key.Add("target " + target.Rid, $"{target.MemoryMB} {target.DiskMB}");
        }

        foreach (string name in (IEnumerable<string>)["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"])
        {
            key.Add(name, inputs.BaseDigest(name));
        }

        return key.Build();
    }

    public static void Run(CompileInputs inputs, StoreEntry resolved, StoreEntry quantized, StoreEntry exported, StoreEntry? evaluated, StageFolders folders, Action<string, double> progress)
    {
        progress("writing the bundle", 0);
        EvaluationResults? results = evaluated is null ? null : EvaluationResults.Read(evaluated.File(EvaluationResults.FileName));
        BundleManifest bundle = BundleAssembly.Write(inputs, resolved, quantized, exported, BundleAssembly.Of(inputs.Manifest), results, folders.Output);
        CheckTargets(inputs, bundle);
    }

    /// <summary>Whether the weights alone are more than a target allows: known before anything is made.</summary>
    /// <exception cref="CompilerException">MDL5007: they are.</exception>
    public static void CheckWeights(CompileInputs inputs)
    {
        long bytes = QuantizedSize.Of(inputs.Architecture, inputs.Manifest.Quantization);
        Check(inputs, bytes, bytes, " for its weights alone");
    }

    // Disk is exact. Memory is weights, adapters, one KV cache, and what the runtime itself takes: an estimate from below.
    private static void CheckTargets(CompileInputs inputs, BundleManifest bundle)
    {
        const long runtimeBytes = 95_000_000; // .NET and ONNX Runtime: what `modelc bench` shows for the sample, whose own bytes hardly count (linux-x64)
        long disk = bundle.Files.Values.Sum(f => f.Bytes);
        long cache = bundle.CacheBytesPerToken * bundle.Context;
        long memory = runtimeBytes + bundle.Files[bundle.Weights.File].Bytes + bundle.Adapters.SelectMany(a => (string[])[a.Weights, a.Verifier?.Weights ?? a.Weights]).Distinct().Sum(f => bundle.Files[f].Bytes) + cache;
        Check(inputs, disk, memory, "");
    }

    private static void Check(CompileInputs inputs, long disk, long memory, string purpose)
    {
        for (int i = 0; i < inputs.Manifest.Targets.Count; i++)
        {
            TargetSettings target = inputs.Manifest.Targets[i];
            Limit(target.DiskMB, disk, "disk", $"targets/{i}/diskMB");
            Limit(target.MemoryMB, memory, "memory", $"targets/{i}/memoryMB");

            void Limit(int? limit, long bytes, string what, string pointer)
            {
                if (limit is int most && bytes > most * 1_000_000L)
                {
                    ManifestDiagnostic place = inputs.Source.At(
                        pointer,
                        DiagnosticCodes.TargetExceeded,
                        ManifestSeverity.Error,
                        $"The bundle needs {(bytes + 999_999) / 1_000_000} MB of {what}{purpose}, but the target {target.Rid} allows {most} MB. Use fewer bits or a shorter context, or raise the limit.");
                    throw new CompilerException(place.Code, place.Message, place.Path, place.Line, place.Column);
                }
            }
        }
    }
}
