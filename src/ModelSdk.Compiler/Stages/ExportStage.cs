using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>Writes a graph per mode over the one weight file, and runs what it wrote before it calls it done.</summary>
internal static class ExportStage
{
    public const string ParityFile = "parity.json";

    private const int Version = 7;
    private const int ReferenceTokens = 64;
    private const int ReferenceExamples = 8;

    // Reference logits need the whole base in fp32; of a base whose weights would take more than this in memory none are computed.
    private const long MostReferenceBytes = 5L << 29;

    // A single short example may hold several near ties, whose likeliest token flips at any difference; what flips cost is measured by evaluate.
    private static readonly VerificationBounds s_bounds = new() { ArgmaxAgreement = 0.75 };

    /// <param name="inputs">What is compiled.</param>
    /// <param name="quantize">The base.</param>
    /// <param name="shipped">What is shipped of each adapter: its budget stage, or its sft.</param>
    /// <param name="switcher">The switcher, or null.</param>
    /// <param name="verifiers">Verifiers of adapters.</param>
    public static StageKey Key(CompileInputs inputs, StageKey quantize, IReadOnlyList<PlannedStage> shipped, StageKey? switcher, IReadOnlyList<PlannedStage> verifiers)
    {
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Export, Version)
            .Add("quantize", quantize)
            .Add("context", inputs.Context)
            .Add("genai", inputs.Manifest.Genai);
        foreach (PlannedStage adapter in shipped)
        {
            key.Add("adapter " + adapter.Adapter, adapter.Key);
        }

        if (switcher is not null)
        {
            key.Add("switcher", switcher);
        }

        foreach (PlannedStage verifier in verifiers)
        {
            key.Add("verifier " + verifier.Adapter, verifier.Key);
        }

        return key.Build();
    }

    public static void Run(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        IReadOnlyList<StoreEntry> shipped,
        StoreEntry? switcher,
        IReadOnlyDictionary<string, StoreEntry> verifiers,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        Dictionary<string, LoraAdapter> loras = inputs.Manifest.Adapters.Zip(shipped).ToDictionary(a => a.First.Name, a => LoraAdapter.Load(a.Second.Folder), StringComparer.Ordinal);
        progress("computing reference logits in Torch", 0);
        List<ReferenceLogits> references = References(inputs, resolved, shipped, model, cancellationToken);
        progress("comparing rounded with exact activations", 0.3);
        GraphOptions options = new() { Context = inputs.Context };
        ProductLevelChoice levels = ProductLevels.Choose(model, loras, options, references, folders.Output, s_bounds, cancellationToken);
        options = options with { ExactProducts = levels.Exact };
        progress(levels.Exact.Count == 0 ? "writing graphs" : Exactly(levels), 0.4);
        List<string> files = [GraphExporter.WriteBase(model, options, folders.Output)];
        string? encoder = GraphExporter.WriteEncoder(model, options, folders.Output);
        if (encoder is not null)
        {
            files.Add(encoder);
        }

        List<BundleAdapter> adapters = [];
        foreach (AdapterSettings adapter in inputs.Manifest.Adapters)
        {
            LoraAdapter lora = loras[adapter.Name];
            BundleAdapter written = GraphExporter.WriteAdapter(model, lora, adapter.Name, options, folders.Output);
            if (verifiers.TryGetValue(adapter.Name, out StoreEntry? judge))
            {
                written = written with
                {
                    Verifier = GraphExporter.WriteVerifier(model, lora, VerifierHead.Load(judge.Folder), adapter.Name, adapter.Verifier!.Prompt, options, folders.Output),
                };
            }

            adapters.Add(written);
            files.AddRange(((string[])[written.Graph, written.Weights, .. written.Verifier is null ? [] : (string[])[written.Verifier.Graph, written.Verifier.Weights]]).Distinct());
        }

        string? prefill = switcher is null ? null : GraphExporter.WritePrefill(model, SwitcherHead.Load(switcher.Folder), options, folders.Output);
        if (prefill is not null)
        {
            files.Add(prefill);
        }

        if (inputs.Manifest.Genai)
        {
            files.AddRange(GraphExporter.WriteGenai(model, loras, options, folders.Output));
        }

        progress("running the graphs", 0.5);
        VerificationReport report = ExportVerifier.Verify(model, folders.Output, adapters, options, references, s_bounds, cancellationToken);
        report = Add(new VerificationReport(levels.Checks), [report]);
        report = Add(report, HeadReports(model, options, inputs, adapters, shipped, switcher, verifiers, folders.Output));
        if (inputs.Manifest.Genai)
        {
            report = Add(report, [ExportVerifier.VerifyGenai(model, folders.Output, adapters, options, s_bounds)]);
        }

        new ExportedGraphs(files, adapters, encoder, prefill).Write(Path.Combine(folders.Output, ExportedGraphs.FileName));
        File.WriteAllText(Path.Combine(folders.Output, ParityFile), Summary(report).ToJsonString(new JsonSerializerOptions { WriteIndented = true, NewLine = "\n" }));
        progress($"{report.Checks.Count} comparisons hold", 1);
    }

    private static string Exactly(ProductLevelChoice levels) =>
        string.Create(CultureInfo.InvariantCulture, $"{levels.Exact.Count} products compute with exact activations, for rounding them chose another token at {1 - levels.Before:p1} of the positions: {string.Join(", ", levels.Exact.Order(StringComparer.Ordinal).Take(4))}{(levels.Exact.Count > 4 ? ", ..." : "")}");

    private static VerificationReport Add(VerificationReport report, IEnumerable<VerificationReport> more) =>
        new([.. report.Checks, .. more.SelectMany(r => r.Checks)]);

    private static IEnumerable<VerificationReport> HeadReports(
        QuantizedModel model,
        GraphOptions options,
        CompileInputs inputs,
        IReadOnlyList<BundleAdapter> adapters,
        IReadOnlyList<StoreEntry> shipped,
        StoreEntry? switcher,
        IReadOnlyDictionary<string, StoreEntry> verifiers,
        string folder)
    {
        if (switcher is not null)
        {
            yield return ExportVerifier.VerifySwitcher(model, folder, SwitcherHead.Load(switcher.Folder), options, s_bounds);
        }

        foreach ((BundleAdapter adapter, StoreEntry entry) in adapters.Zip(shipped))
        {
            LoraAdapter lora = LoraAdapter.Load(entry.Folder);
            if (adapter.Verifier is { } judge)
            {
                yield return ExportVerifier.VerifyVerifier(model, folder, adapter.Name, judge.Graph, lora, VerifierHead.Load(verifiers[adapter.Name].Folder), options, s_bounds);
            }

            if (inputs.Manifest.Adapters.Any(a => a.Name == adapter.Name && a.Budget is not null))
            {
                yield return ExportVerifier.VerifyRollout(model, lora, options, folder, s_bounds);
            }
        }
    }

    // Real prompts with the answers that were trained: what the logits are for.
    private static List<ReferenceLogits> References(CompileInputs inputs, StoreEntry resolved, IReadOnlyList<StoreEntry> trained, QuantizedModel model, CancellationToken cancellationToken)
    {
        List<ReferenceLogits> references = [];
        if (trained.Count == 0 || Qwen2Tensors.Of(model.Architecture).Sum(t => t.Shape.Aggregate((long)sizeof(float), (product, size) => product * size)) > MostReferenceBytes)
        {
            return references;
        }

        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), inputs.Manifest.Prompt);
        using Transformer transformer = TorchModel.Load(model);
        foreach ((AdapterSettings adapter, StoreEntry entry) in inputs.Manifest.Adapters.Zip(trained))
        {
            using TorchDecoder plain = new(transformer);
            using TorchDecoder adapted = new(transformer, GraphExporter.AsDeployed(model, LoraAdapter.Load(entry.Folder)));
            foreach ((int[] prompt, int[] response) in adapter.Import is null ? Trained(inputs, adapter, resolved, encoder) : Answered(inputs, resolved, encoder, adapted))
            {
                cancellationToken.ThrowIfCancellationRequested();
                int[] tokens = [.. prompt, .. encoder.GenerationPrompt(), .. response];
                references.Add(Reference(BundleManifest.BaseMode, plain, tokens, prompt.Length));
                references.Add(Reference(adapter.Name, adapted, tokens, prompt.Length));
            }
        }

        return references;
    }

    private static IEnumerable<(int[] Prompt, int[] Response)> Trained(CompileInputs inputs, AdapterSettings adapter, StoreEntry resolved, PromptEncoder encoder)
    {
        SftDataset examples = SftDataset.Encode(
            inputs.Training[adapter.Name].Path,
            [.. TrainingData.Read(resolved.File(ResolveStage.TrainingFile(adapter.Name))).Take(ReferenceExamples)],
            encoder.Tokenizer,
            encoder.Template,
            inputs.Manifest.Prompt.System,
            inputs.Context);
        return examples.Examples.Select(e => (e.Prompt, e.Response));
    }

    // An imported adapter comes without training data: its own answers to evaluation questions, or to a greeting.
    private static IEnumerable<(int[] Prompt, int[] Response)> Answered(CompileInputs inputs, StoreEntry resolved, PromptEncoder encoder, TorchDecoder adapted)
    {
        IReadOnlyList<IReadOnlyList<ChatTurn>> questions = inputs.Evaluation is null
            ? [[new ChatTurn("user", "Hello!")]]
            : [.. Question.Read(resolved.File(ResolveStage.EvaluationData), inputs.Evaluation.Path, inputs.ReadableAnswer, ReferenceExamples).Select(q => q.Turns)];
        int[][] prompts = [.. questions.Select(q => encoder.Prompt(q))];
        IReadOnlyCollection<int> end = EndTokens.Of(resolved.File(ResolveStage.BaseFolder), encoder);
        return prompts.Zip(adapted.Decode(prompts, encoder.GenerationPrompt(), end, ReferenceTokens), (prompt, answer) => (prompt, answer.Tokens));
    }

    private static ReferenceLogits Reference(string mode, TorchDecoder decoder, int[] tokens, int start) =>
        new(mode, tokens, start, [.. decoder.Logits(tokens, start).SelectMany(row => row)]);

    // Per mode and comparison, of all sequences compared: the widest root mean square difference beside its bound, and that of a single logit.
    private static JsonObject Summary(VerificationReport report)
    {
        JsonObject summary = [];
        foreach (IGrouping<string, VerificationCheck> mode in report.Checks.GroupBy(c => c.Mode))
        {
            JsonObject widest = [];
            foreach (IGrouping<string, VerificationCheck> kind in mode.GroupBy(c => c.Name))
            {
                widest[kind.Key] = new JsonObject
                {
                    ["positions"] = kind.Sum(c => c.Positions),
                    ["difference"] = Math.Round(kind.Max(c => c.Difference), 7),
                    ["greatestDifference"] = Math.Round(kind.Max(c => c.GreatestDifference), 7),
                    ["bound"] = kind.Max(c => c.Bound),
                    ["argmaxAgreement"] = Math.Round(kind.Sum(c => c.ArgmaxAgreement * c.Positions) / kind.Sum(c => c.Positions), 5),
                };
            }

            summary[mode.Key] = widest;
        }

        return summary;
    }
}
