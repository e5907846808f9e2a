using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;

namespace MathTutor.Recipe.Studies;

/// <summary>The verb <c>budget</c>: fine-tunes, forces budgets and measures both; ablations are options.</summary>
internal static class BudgetStudyCommand
{
    /// <summary>Runs what the options ask for.</summary>
    /// <param name="sample">Folder of the sample.</param>
    /// <param name="option">Value of an option, null where it is not given.</param>
    public static void Run(string sample, Func<string, string?> option)
    {
        int Number(string name, int otherwise) => option(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        double Real(string name, double otherwise) => option(name) is { } text ? double.Parse(text, CultureInfo.InvariantCulture) : otherwise;
        int[] Numbers(string name, string otherwise) => [.. (option(name) ?? otherwise).Split(',').Select(n => int.Parse(n, CultureInfo.InvariantCulture))];
        using var study = new BudgetStudy(sample, option("--work") ?? Path.Combine("artifacts", "budget"), Number("--examples", 500), Console.WriteLine);
        var adapter = new AdapterSettings
        {
            Name = "arithmetic",
            Masked = option("--mask") != "off",
            Sft = new SftSettings { Steps = Number("--sft-steps", 160), Epochs = null, BatchSize = 48, LearningRate = 0.003 },
            Budget = new BudgetForcingSettings
            {
                Data = option("--data") ?? "data/budget.jsonl",
                Steps = Number("--steps", 120),
                Prompts = Number("--prompts", 16),
                Samples = Number("--samples", 8),
                Temperature = Real("--temperature", 1.0),
                LearningRate = Real("--lr", 0.0003),
                Warmup = Real("--warmup", 0.05),
                Budgets = new EquatableArray<int>(Numbers("--budgets", "96,112,128,160")),
                StatedShare = Real("--stated", 0.5),
                Margin = Real("--margin", 0.25),
                Kl = Real("--kl", 0.005),
                KlReference = option("--kl-reference") == "base" ? KlReference.Base : KlReference.Sft,
                ClipHigh = option("--clip-high") is { } high ? double.Parse(high, CultureInfo.InvariantCulture) : null,
                Advantage = option("--advantage") == "batch" ? AdvantageScale.Batch : AdvantageScale.Group,
                Length = option("--length") == "think" ? CountedLength.Think : CountedLength.Total,
                Tighten = Real("--tighten", 1),
                Resample = option("--resample") == "on",
                MaxTokens = Number("--max-tokens", 320),
            },
        };
        int[] budgets = Numbers("--state", "112");
        int[] hard = option("--hard") is null ? [] : Numbers("--hard", "");
        double temperature = Real("--test-temperature", 0.7);
        foreach (int seed in Numbers("--seeds", "1"))
        {
            LoraAdapter start = study.FineTuned(adapter, Number("--sft-seed", seed));
            if (option("--measure-sft") != "off")
            {
                study.Measure("sft", start, adapter.Masked, budgets, temperature, hard);
            }

            study.Measure($"budget-forced seed {seed}", study.BudgetForced(adapter, start, seed), adapter.Masked, budgets, temperature, hard);
        }
    }
}
