using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Training;
using ModelSdk.Training.Quantization;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// What the base reads to be quantized: whole conversations of the file that the manifest names, else of the adapters' training data. Those
/// hold the reasoning that the adapters will make the base run on; what the base says by itself is hardly ever that.
/// </summary>
internal static class CalibrationTexts
{
    /// <summary>Tokens of each text, evenly spread over the files.</summary>
    /// <exception cref="TrainingException">MDL3011, MDL3012 or MDL3013: a file cannot be used.</exception>
    public static IReadOnlyList<int[]> Read(CompileInputs inputs, StoreEntry resolved)
    {
        ModelManifest manifest = inputs.Manifest;
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), manifest.Prompt);
        int tokens = manifest.Quantization.Quality == QuantizationQuality.Best ? CalibrationRecipe.BestTokens : CalibrationRecipe.BalancedTokens;
        IEnumerable<(string Copy, InputFile File)> files = manifest.Quantization.Calibration is not null
            ? [(ResolveStage.CalibrationData, inputs.Calibration.Single())]
            : manifest.Adapters.Where(a => a.Import is null).Select(a => (ResolveStage.TrainingFile(a.Name), inputs.Training[a.Name]));
        return
        [
            .. files.SelectMany(f =>
            {
                SftDataset data = SftDataset.Encode(f.File.Path, TrainingData.Read(resolved.File(f.Copy)), encoder.Tokenizer, encoder.Template, manifest.Prompt.System, inputs.Context);
                return CalibrationRecipe.Choose([.. data.Examples.Select(e => (int[])[.. e.Prompt, .. data.GenerationPrompt, .. e.Response])], tokens / inputs.Calibration.Count);
            }),
        ];
    }
}
