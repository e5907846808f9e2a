using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Quantizes the base (paper 6). Reads config.json and the weights; writes weights.bin, the one weight file of the bundle, and its
/// directory, and runs what it wrote to choose how keys and values are stored. Adapters are trained on what this stage wrote (QAMR).
/// </summary>
internal static class QuantizeStage
{
    private const int Version = 2;

    public static StageKey Key(CompileInputs inputs)
    {
        QuantizationSettings options = Effective(inputs.Manifest.Quantization);
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Quantize, Version)
            .Add("config", inputs.BaseDigest("config.json"))
            .Add("weights", options.Weights.ToString())
            .Add("block", options.Block)
            .Add("embeddings", options.Embeddings.ToString())
            .Add("keyValueCache", options.KeyValueCache.ToString());
        foreach (InputFile file in inputs.Weights)
        {
            key.Add(file.Name, file.Sha256);
        }

        return key.Build();
    }

    public static void Run(CompileInputs inputs, StageFolders folders, Action<string, double> progress, CancellationToken cancellationToken)
    {
        using Checkpoint checkpoint = Checkpoint.Open(inputs.BaseFolder);
        progress("reading and quantizing weights", 0);
        QuantizationSettings options = Effective(inputs.Manifest.Quantization);
        QuantizedModel model = QuantizedModel.Quantize(
            checkpoint,
            options,
            folders.Output,
            new DirectProgress<double>(share => progress("quantizing weights", share)),
            cancellationToken);
        if (options.KeyValueCache != CacheFormat.None)
        {
            KeyValueCalibration.Run(
                model,
                options.KeyValueCache,
                KeyValueCalibration.Tokens(model),
                new DirectProgress<double>(share => progress("measuring keys and values", share)),
                cancellationToken).Write(folders.Output);
        }
    }

    /// <summary>The manifest's settings; those that have no effect take one value, so that they change no key.</summary>
    private static QuantizationSettings Effective(QuantizationSettings settings) => settings.Weights == WeightFormat.None
        ? new QuantizationSettings { Weights = WeightFormat.None, Embeddings = WeightFormat.None, KeyValueCache = CacheFormat.None }
        : settings;
}
