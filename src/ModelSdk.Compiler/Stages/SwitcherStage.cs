using System.Globalization;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Training;
using ModelSdk.Training.Heads;

namespace ModelSdk.Compiler.Stages;

/// <summary>Trains the switcher (paper 3) on the quantized base's hidden states. Takes seconds, so it leaves no checkpoint.</summary>
internal static class SwitcherStage
{
    private const int Version = 1;

    /// <summary>The threshold takes no part: it is read when a prompt is routed.</summary>
    public static StageKey Key(CompileInputs inputs, StageKey quantize)
    {
        SwitcherSettings switcher = inputs.Manifest.Switcher!;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Switcher, Version)
            .Add("quantize", quantize)
            .AddArithmetic(inputs)
            .Add("train", inputs.Switcher!.Sha256)
            .AddText(inputs)
            .Add("context", inputs.Context)
            .Add("seed", inputs.Manifest.Seed)
            .Add("hidden", switcher.Hidden)
            .Add("dropout", switcher.Dropout)
            .Add("noise", switcher.Noise)
            .Add("chunk", switcher.Chunk)
            .Add("smoothing", switcher.Smoothing)
            .Add("steps", switcher.Steps)
            .Add("batchSize", switcher.BatchSize)
            .Add("learningRate", switcher.LearningRate)
            .Add("weightDecay", switcher.WeightDecay);
        foreach (AdapterSettings adapter in inputs.Manifest.Adapters)
        {
            key.Add("mode", adapter.Name); // lines of the data name modes, and the head has one output for each
        }

        return key.Build();
    }

    public static void Run(CompileInputs inputs, StoreEntry resolved, StoreEntry quantized, StageFolders folders, Action<string, double> progress, CancellationToken cancellationToken)
    {
        SwitcherSettings settings = inputs.Manifest.Switcher!;
        progress("reading data", 0);
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), inputs.Manifest.Prompt);
        SwitcherData data = SwitcherData.Encode(
            inputs.Switcher!.Path,
            DataFile.Read(resolved.File(ResolveStage.SwitcherData), inputs.Switcher.Path),
            [.. inputs.Manifest.Adapters.Select(a => a.Name)],
            encoder.Tokenizer,
            encoder.Template,
            inputs.Manifest.Prompt.System,
            inputs.Context);

        progress($"encoding {data.Examples.Count} prompts", 0.05);
        TorchLibrary.EnsureLoaded();
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        SwitcherOptions options = new()
        {
            Hidden = settings.Hidden,
            Dropout = settings.Dropout,
            Noise = settings.Noise,
            Chunk = settings.Chunk,
            Smoothing = settings.Smoothing,
            Steps = settings.Steps,
            BatchSize = settings.BatchSize,
            LearningRate = settings.LearningRate,
            WeightDecay = settings.WeightDecay,
            Seed = inputs.Manifest.Seed,
        };
        Training.Heads.SwitcherResult result = SwitcherTrainer.Run(
            model.Architecture,
            model.ReadDequantized,
            data,
            options,
            new DirectProgress<HeadProgress>(p => progress(string.Create(CultureInfo.InvariantCulture, $"step {p.Step} of {p.Steps}, loss {p.Loss:F4}"), (double)p.Step / p.Steps)),
            cancellationToken);
        result.Head.Save(folders.Output);
        new HeadSummary(data.Examples.Count, result.HeldOut, Statistics.Finite(result.Auc), Statistics.Round(result.Accuracy), result.Losses).Write(Path.Combine(folders.Output, HeadSummary.FileName));
        progress(string.Create(CultureInfo.InvariantCulture, $"AUC {result.Auc:F3} on {result.HeldOut} held-out prompts"), 1);
    }
}
