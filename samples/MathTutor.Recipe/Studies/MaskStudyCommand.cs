using System.Globalization;
using ModelSdk.Manifest;

namespace MathTutor.Recipe.Studies;

/// <summary>The verb <c>study</c>: trains adapters with the mask, with a mask that ends later, and without, for several seeds and prints what each gets right.</summary>
internal static class MaskStudyCommand
{
    /// <summary>Runs what the options ask for.</summary>
    /// <param name="sample">Folder of the sample.</param>
    /// <param name="option">Value of an option, null where it is not given.</param>
    public static void Run(string sample, Func<string, string?> option)
    {
        int Number(string name, int otherwise) => option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        bool quantized = option("--weights") != "full";
        using var study = new MaskStudy(sample, option("--work") ?? Path.Combine("artifacts", "study"), quantized, Number("--examples", 600), Number("--failures", 0), Console.WriteLine);
        study.Base("test.jsonl");
        study.Base("test-easy.jsonl");
        var sft = new SftSettings
        {
            Steps = Number("--steps", 100),
            Epochs = null,
            BatchSize = Number("--batch", 48),
            LearningRate = double.Parse(option("--lr") ?? "0.003", CultureInfo.InvariantCulture),
        };
        int rank = Number("--rank", 16);
        foreach (string seed in (option("--seeds") ?? "1,2,3").Split(','))
        {
            foreach (string mask in (option("--mask") ?? "masked,unmasked").Split(','))
            {
                var adapter = new AdapterSettings { Masked = mask != "unmasked", Rank = rank, Alpha = 2 * rank, Sft = sft };
                string name = string.Create(CultureInfo.InvariantCulture, $"{mask} r{rank} lr {sft.LearningRate} {sft.Steps}x{sft.BatchSize}");
                study.Run(name, adapter, long.Parse(seed, CultureInfo.InvariantCulture), late: mask == "late");
            }
        }
    }
}
