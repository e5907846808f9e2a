using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>The verb <c>outliers</c>: measures bases with planted outliers and with few bits, and trains adapters on those that are asked for.</summary>
internal static class OutlierStudyCommand
{
    /// <summary>The bases of the study by name.</summary>
    public static IReadOnlyList<OutlierCase> Cases { get; } =
    [
        new("full", false, false, null, RangeSetting.MinMax, false),
        new("plain-minmax", false, false, 4, RangeSetting.MinMax, true),
        new("planted-full", true, false, null, RangeSetting.MinMax, false),
        new("planted-minmax", true, false, 4, RangeSetting.MinMax, true),
        new("planted-ranges", true, false, 4, RangeSetting.LeastSquares, true),
        new("planted-transforms", true, true, 4, RangeSetting.MinMax, true),
        new("planted-both", true, true, 4, RangeSetting.LeastSquares, true),
        new("3bit-minmax", false, false, 3, RangeSetting.MinMax, false),
        new("3bit-ranges", false, false, 3, RangeSetting.LeastSquares, false),
    ];

    /// <summary>Runs what the options ask for.</summary>
    /// <param name="sample">Folder of the sample.</param>
    /// <param name="option">Value of an option, null where it is not given.</param>
    public static void Run(string sample, Func<string, string?> option)
    {
        int Number(string name, int otherwise) => option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        double Real(string name, double otherwise) => option(name) is { } text ? double.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        OutlierCase[] Named(string name, string otherwise) => [.. (option(name) ?? otherwise).Split(',', StringSplitOptions.RemoveEmptyEntries).Select(n => Cases.Single(c => c.Name == n))];
        using var study = new OutlierStudy(
            sample,
            option("--work") ?? Path.Combine("artifacts", "outliers"),
            s => PlantedOutliers.Of(s.Config, Real("--factor", 30), Real("--share", 0.05), seed: 1),
            Number("--examples", 600),
            Console.WriteLine);
        var adapter = new AdapterSettings { Name = "arithmetic", Sft = new SftSettings { Steps = Number("--steps", 100), Epochs = null, BatchSize = 48, LearningRate = 0.003 } };
        int seed = Number("--seed", 1);
        LoraAdapter full = study.FullPrecision(adapter, seed);
        foreach (OutlierCase what in Named("--cases", string.Join(',', Cases.Select(c => c.Name))))
        {
            study.Measure(what, full);
        }

        foreach (OutlierCase what in Named("--train", "planted-minmax,planted-both,3bit-minmax"))
        {
            study.Train(what, adapter, seed);
        }
    }
}
