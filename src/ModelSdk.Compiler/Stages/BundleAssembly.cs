using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Genai;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Stages;

/// <summary>Puts a bundle's folder together: weights, graphs, tokenizer, and model.json with the digest of every file.</summary>
internal static class BundleAssembly
{
    private static readonly string[] s_textFiles = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

    /// <summary>The settings that a bundle carries and a draft for evaluation does not need: name, budgets, default mode, answer.</summary>
    public sealed record Face(string Name, string DefaultMode, IReadOnlyList<BundleBudget> Budgets, BundleAnswer Answer, int AnswerTokens);

    /// <summary>A bundle's face for evaluation: nothing that is measured depends on a name, a default or the budgets of the client.</summary>
    public static Face Draft(ModelManifest manifest) => Of(manifest) with { Name = "Draft", DefaultMode = BundleManifest.BaseMode, Budgets = [] };

    /// <summary>The face that the manifest describes.</summary>
    public static Face Of(ModelManifest manifest) => new(
        manifest.Name,
        manifest.DefaultMode,
        [.. manifest.Budgets.Select(b => new BundleBudget(b.Name, b.Tokens, b.Streams))],
        new BundleAnswer(manifest.Answer.Type.ToString().ToLowerInvariant(), manifest.Answer.Type == AnswerType.Choice ? [.. manifest.Answer.Choices.Select(c => c.Text)] : null),
        manifest.AnswerTokens);

    /// <summary>Writes the bundle.</summary>
    /// <param name="inputs">What is compiled.</param>
    /// <param name="resolved">Tokenizer files.</param>
    /// <param name="quantized">The weights.</param>
    /// <param name="exported">The graphs.</param>
    /// <param name="face">Name, budgets, default mode and answer.</param>
    /// <param name="results">What was measured; null when nothing was.</param>
    /// <param name="folder">Created when missing.</param>
    /// <param name="drafts">Adapters that lie in the folder already, for evaluation alone; null for none.</param>
    public static BundleManifest Write(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        StoreEntry exported,
        Face face,
        EvaluationResults? results,
        string folder,
        IReadOnlyList<BundleAdapter>? drafts = null)
    {
        Directory.CreateDirectory(folder);
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        ExportedGraphs graphs = ExportedGraphs.Read(exported.File(ExportedGraphs.FileName));
        List<string> files = [];
        void Copy(string source, string relative)
        {
            string target = Path.Combine(folder, relative);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(source, target, overwrite: true);
            files.Add(relative);
        }

        Copy(model.WeightsPath, QuantizedModel.WeightsFileName);
        foreach (string file in graphs.Files)
        {
            Copy(exported.File(file), file);
        }

        files.AddRange((drafts ?? []).SelectMany(d => (string[])[d.Graph, d.Weights]));
        string baseFolder = resolved.File(ResolveStage.BaseFolder);
        foreach (string file in s_textFiles.Where(f => File.Exists(Path.Combine(baseFolder, f))))
        {
            Copy(Path.Combine(baseFolder, file), file);
        }

        PromptSettings prompt = inputs.Manifest.Prompt;
        PromptEncoder encoder = new(baseFolder, prompt);
        IReadOnlyList<int> ends = EndTokens.Of(baseFolder, encoder);
        if (graphs.Files.Contains(GraphExporter.GenaiGraphName))
        {
            // Every turn of a prompt ends with the template's token, so that one is no padding.
            int? endOfTurn = encoder.Tokenizer.TokenId(encoder.Template.EndOfTurn);
            GenaiConfig.Write(model.Architecture, inputs.Context, ends, ends.FirstOrDefault(t => t != endOfTurn, ends[0]), folder);
            files.Add(GenaiConfig.FileName);
        }

        BundleManifest manifest = new BundleManifest
        {
            Name = face.Name,
            Compiler = CompilerVersion.Text,
            Architecture = model.Architecture,
            Context = inputs.Context,
            Quantization = new BundleQuantization(
                model.Options.BitsPerWeight is null ? Text(model.Options.Weights) : BundleQuantization.Mixed,
                model.Options.Block,
                Text(model.Options.Embeddings),
                model.Cache?.Format.ToString().ToLowerInvariant())
            {
                BitsPerWeight = Math.Round(model.BitsPerWeight, 3),
                Quality = model.Options.Quality.ToString().ToLowerInvariant(),
            },
            Weights = new BundleWeights(QuantizedModel.WeightsFileName, model.Tensors),
            BaseGraph = GraphExporter.BaseGraphName,
            EncoderGraph = graphs.Encoder,
            Adapters = [.. graphs.Adapters, .. drafts ?? []],
            DefaultMode = face.DefaultMode,
            Switcher = Switcher(inputs, graphs),
            Budgets = face.Budgets,
            Answer = face.Answer,
            AnswerTokens = face.AnswerTokens,
            Prompt = new BundlePrompt(prompt.System, prompt.Budget, prompt.ThinkOpen, prompt.ThinkClose, prompt.ForceAnswer),
            EosTokens = ends,
            Measured = Measured(results, inputs.Manifest.Switcher?.Threshold),
        }.Seal(folder, files);
        manifest.Write(folder);
        return manifest;
    }

    private static BundleSwitcher? Switcher(CompileInputs inputs, ExportedGraphs graphs) => graphs.Prefill is null || inputs.Manifest.Switcher is not SwitcherSettings switcher
        ? null
        : new BundleSwitcher(graphs.Prefill, inputs.Modes, switcher.Chunk, switcher.Smoothing, switcher.Threshold);

    private static SortedDictionary<string, BundleMeasurement> Measured(EvaluationResults? results, double? threshold)
    {
        SortedDictionary<string, BundleMeasurement> measured = new(StringComparer.Ordinal);
        if (results is not null)
        {
            measured[BundleManifest.BaseMode] = Of(results.Base);
            foreach ((string name, AdapterResult adapter) in results.Adapters)
            {
                measured[name] = Of(adapter.Deployed);
            }

            // The switcher's questions are others than those of the modes: easy and hard ones.
            if (results.Switcher is SwitcherResult switcher && threshold is double least)
            {
                SwitcherPoint point = switcher.At(least);
                measured[BundleManifest.AutoMode] = new BundleMeasurement(point.Accuracy, point.MeanTokens, switcher.MedianTokensAt(least), switcher.Examples);
            }
        }

        return measured;
        static BundleMeasurement Of(ModeResult mode) => new(mode.Accuracy, mode.MeanTokens, mode.MedianTokens, mode.Examples);
    }

    private static string Text(WeightFormat format) => format.ToString().ToLowerInvariant();
}
