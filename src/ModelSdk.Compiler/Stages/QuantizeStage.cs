using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Training.Quantization;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Quantizes the base (paper 6). Reads config.json and the weights, and the texts of the calibration where the solver looks at activations; writes
/// weights.bin, the one weight file of the bundle, its directory, and what was folded into the weights, and runs what it wrote to choose how keys
/// and values are stored. Adapters are trained on what this stage wrote (QAMR).
/// </summary>
internal static class QuantizeStage
{
    private const int Version = 2;

    // Of what only qualities other than fast run through.
    private const int CalibrationVersion = 2;

    public static StageKey Key(CompileInputs inputs)
    {
        QuantizationSettings options = Effective(inputs.Manifest.Quantization);
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Quantize, Version)
            .Add("config", inputs.BaseDigest("config.json"))
            .Add("weights", options.Weights.ToString())
            .Add("block", options.Block)
            .Add("bitsPerWeight", options.BitsPerWeight ?? -1)
            .Add("embeddings", options.Embeddings.ToString())
            .Add("keyValueCache", options.KeyValueCache.ToString())
            .Add("quality", options.Quality.ToString());
        if (options.Calibrates)
        {
            key.Add("calibrationVersion", CalibrationVersion).AddText(inputs).Add("context", inputs.Context);
            foreach (InputFile file in inputs.Calibration)
            {
                key.Add("calibration", file.Sha256);
            }
        }

        foreach (InputFile file in inputs.Weights)
        {
            key.Add(file.Name, file.Sha256);
        }

        return key.Build();
    }

    public static void Run(CompileInputs inputs, StoreEntry resolved, StageFolders folders, Action<string, double> progress, CancellationToken cancellationToken)
    {
        using Checkpoint checkpoint = Checkpoint.Open(inputs.BaseFolder);
        QuantizationSettings options = Effective(inputs.Manifest.Quantization);
        Calibration? calibration = null;
        if (options.Calibrates)
        {
            progress("reading calibration texts", 0);
            calibration = CalibrationRecipe.Run(
                checkpoint.Config,
                checkpoint.ReadFinite,
                CalibrationTexts.Read(inputs, resolved),
                grams: options.Quality == QuantizationQuality.Best,
                new DirectProgress<double>(share => progress("calibrating", 0.3 * share)),
                cancellationToken);
        }

        double begin = calibration is null ? 0 : 0.3;
        progress("reading and quantizing weights", begin);
        QuantizedModel model = QuantizedModel.Quantize(
            checkpoint,
            options,
            calibration,
            folders.Output,
            new DirectProgress<double>(share => progress("quantizing weights", begin + ((1 - begin) * share))),
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
