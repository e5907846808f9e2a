using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;

namespace MathTutor.Recipe.Studies;

/// <summary>The verb <c>quant</c>: quantizes the base in several formats by several solvers, and trains adapters on those that are asked for.</summary>
internal static class QuantizationStudyCommand
{
    /// <summary>Runs what the options ask for.</summary>
    /// <param name="sample">Folder of the sample.</param>
    /// <param name="option">Value of an option, null where it is not given.</param>
    public static void Run(string sample, Func<string, string?> option)
    {
        int Number(string name, int otherwise) => option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        string[] List(string name, string otherwise) => (option(name) ?? otherwise).Split(',', StringSplitOptions.RemoveEmptyEntries);
        using var study = new QuantizationStudy(sample, option("--work") ?? Path.Combine("artifacts", "quant"), Number("--examples", 600), Console.WriteLine);
        var adapter = new AdapterSettings
        {
            Name = "arithmetic",
            Sft = new SftSettings { Steps = Number("--steps", 100), Epochs = null, BatchSize = 48, LearningRate = 0.003 },
        };
        int[] seeds = [.. List("--seeds", "").Select(s => int.Parse(s, CultureInfo.InvariantCulture))];
        foreach (string format in List("--formats", "int4,2.95,int2"))
        {
            if (format == "full")
            {
                foreach (int seed in seeds)
                    study.Train(null, null, adapter, seed);
                continue;
            }

            foreach (string block in List("--blocks", "32,64"))
            {
                foreach (string quality in List("--qualities", "fast,balanced,best"))
                {
                    var settings = new QuantizationSettings
                    {
                        Weights = format.StartsWith("int", StringComparison.Ordinal) ? WeightFormats.Parse(format) : WeightFormat.Int4,
                        BitsPerWeight = format.StartsWith("int", StringComparison.Ordinal) ? null : double.Parse(format, CultureInfo.InvariantCulture),
                        Block = int.Parse(block, CultureInfo.InvariantCulture),
                        Quality = Enum.Parse<QuantizationQuality>(quality, ignoreCase: true),
                    };
                    if (settings.BitsPerWeight < 2 + (32.0 / settings.Block))
                        continue;
                    QuantizedModel model = study.Quantize(settings);
                    foreach (int seed in seeds)
                        study.Train(settings, model, adapter, seed);
                }
            }
        }
    }
}
