using System.Globalization;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Trains one adapter by supervised fine-tuning with masked LoRA (paper 2) on the quantized base (QAMR, paper 6). Leaves a checkpoint every
/// few steps; a run that was killed goes on from the last one and gives the same bytes.
/// </summary>
internal static class SftStage
{
    private const int Version = 1;

    /// <summary>The adapter's name and the steps between checkpoints take no part: neither changes the weights.</summary>
    public static StageKey Key(CompileInputs inputs, AdapterSettings adapter, StageKey quantize)
    {
        SftSettings sft = adapter.Sft;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Sft, Version)
            .Add("quantize", quantize)
            .AddArithmetic(inputs)
            .Add("train", inputs.Training[adapter.Name].Sha256)
            .Add("tokenizer", inputs.BaseDigest("tokenizer.json"))
            .Add("template", inputs.BaseDigest("tokenizer_config.json"))
            .Add("jinja", inputs.BaseDigest("chat_template.jinja"))
            .Add("system", inputs.Manifest.Prompt.System)
            .Add("context", inputs.Context)
            .Add("seed", inputs.Manifest.Seed)
            .Add("rank", adapter.Rank)
            .Add("alpha", adapter.Alpha)
            .Add("dropout", adapter.Dropout)
            .Add("targets", string.Join(',', adapter.Targets))
            .Add("masked", adapter.Masked)
            .Add("steps", sft.Steps ?? -1)
            .Add("epochs", sft.Epochs ?? -1)
            .Add("batchSize", sft.BatchSize)
            .Add("learningRate", sft.LearningRate)
            .Add("warmup", sft.Warmup)
            .Add("weightDecay", sft.WeightDecay)
            .Add("maxGradNorm", sft.MaxGradNorm);
        return key.Build();
    }

    public static void Run(
        CompileInputs inputs,
        AdapterSettings adapter,
        StoreEntry resolved,
        StoreEntry quantized,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        progress("reading data", 0);
        string path = inputs.Training[adapter.Name].Path;
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), inputs.Manifest.Prompt);
        IReadOnlyList<TrainingExample> examples = TrainingData.Read(resolved.File(ResolveStage.TrainingFile(adapter.Name)));
        SftDataset data = SftDataset.Encode(path, examples, encoder.Tokenizer, encoder.Template, inputs.Manifest.Prompt.System, inputs.Context);

        progress("loading the quantized base", 0);
        TorchLibrary.EnsureLoaded();
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        SftOptions options = new() { Adapter = adapter, Seed = inputs.Manifest.Seed, WorkFolder = folders.Work };
        SftResult result = SftRecipe.Run(
            model.Architecture,
            model.ReadDequantized,
            data,
            options,
            new DirectProgress<SftProgress>(p => progress(
                string.Create(CultureInfo.InvariantCulture, $"step {p.Step} of {p.Steps}, loss {p.Loss:F4}, {p.TokensPerSecond:F0} tokens/s"),
                (double)p.Step / p.Steps)),
            cancellationToken);

        result.Adapter.Save(folders.Output);
        new TrainingSummary(result.Losses.Count, examples.Count, result.Losses).Write(Path.Combine(folders.Output, TrainingSummary.FileName));
    }
}
