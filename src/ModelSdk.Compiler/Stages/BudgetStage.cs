using System.Globalization;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Budget forcing of one adapter (paper 4): goes on from what sft left, samples on the graphs that are deployed, and rewards answers that are
/// right within the budget that their prompt states. Leaves a checkpoint every few steps; a run that was killed goes on to the same bytes.
/// </summary>
internal static class BudgetStage
{
    private const int Version = 1;

    /// <summary>The adapter's name and the steps between checkpoints take no part: neither changes the weights.</summary>
    public static StageKey Key(CompileInputs inputs, AdapterSettings adapter, StageKey sft)
    {
        BudgetForcingSettings budget = adapter.Budget!;
        return new StageKeyBuilder(StageNames.Budget, Version)
            .Add("sft", sft)
            .Add("data", inputs.Budget[adapter.Name].Sha256)
            .AddText(inputs)
            .AddOutput(inputs)
            .AddGrading(inputs)
            .Add("budgetText", inputs.Manifest.Prompt.Budget)
            .Add("context", inputs.Context)
            .Add("seed", inputs.Manifest.Seed)
            .Add("steps", budget.Steps)
            .Add("prompts", budget.Prompts)
            .Add("samples", budget.Samples)
            .Add("temperature", budget.Temperature)
            .Add("learningRate", budget.LearningRate)
            .Add("warmup", budget.Warmup)
            .Add("maxGradNorm", budget.MaxGradNorm)
            .Add("weightDecay", budget.WeightDecay)
            .Add("budgets", string.Join(',', budget.Budgets))
            .Add("statedShare", budget.StatedShare)
            .Add("margin", budget.Margin)
            .Add("floor", budget.Floor)
            .Add("length", budget.Length.ToString())
            .Add("kl", budget.Kl)
            .Add("klReference", budget.KlReference.ToString())
            .Add("clip", budget.Clip)
            .Add("clipHigh", budget.ClipHigh ?? budget.Clip)
            .Add("advantage", budget.Advantage.ToString())
            .Add("resample", budget.Resample)
            .Add("tighten", budget.Tighten)
            .Add("truncated", budget.Truncated.ToString())
            .Add("maxTokens", budget.MaxTokens)
            .Build();
    }

    public static void Run(
        CompileInputs inputs,
        AdapterSettings adapter,
        StoreEntry resolved,
        StoreEntry quantized,
        StoreEntry trained,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        progress("reading questions", 0);
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), inputs.Manifest.Prompt);
        string path = inputs.Budget[adapter.Name].Path;
        GrpoDataset data = GrpoDataset.Encode(
            path,
            DataFile.Read(resolved.File(ResolveStage.BudgetFile(adapter.Name)), path),
            encoder.Tokenizer,
            encoder.Template,
            inputs.Manifest.Prompt,
            adapter.Budget!,
            inputs.Context);

        progress("loading the quantized base", 0);
        TorchLibrary.EnsureLoaded();
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        LoraAdapter start = LoraAdapter.Load(trained.Folder);
        IGrader grader = Grader.For(inputs);
        using RolloutEngine engine = RolloutGraph.Open(inputs, resolved, model, start, encoder, folders);
        int step = 0;
        GrpoResult result = GrpoRecipe.Run(
            model.Architecture,
            model.ReadDequantized,
            data,
            new GrpoOptions { Adapter = adapter, Seed = inputs.Manifest.Seed, WorkFolder = folders.Work },
            start,
            EngineRollouts.Of(engine, encoder.GenerationPrompt()),
            answers => Grade(grader, answers, step + 1, adapter.Budget!.Steps, cancellationToken),
            new DirectProgress<GrpoStep>(p =>
            {
                step = p.Step;
                progress(Text(p), (double)p.Step / p.Steps);
            }),
            cancellationToken);

        result.Adapter.Save(folders.Output);
        Summary(data, result.Steps).Write(Path.Combine(folders.Output, BudgetSummary.FileName));
        new StageTimings
        {
            Values =
            {
                ["rolloutTokensPerSecond"] = Math.Round(Statistics.Mean([.. result.Steps.Select(s => s.RolloutTokensPerSecond)])),
                ["trainingTokensPerSecond"] = Math.Round(Statistics.Mean([.. result.Steps.Where(s => s.ZeroDeviation < 1).Select(s => s.TrainingTokensPerSecond)])),
            },
        }.Write(Path.Combine(folders.Output, StageTimings.FileName));
    }

    /// <summary>What a user reads while it runs: is it learning, and is it getting shorter?</summary>
    internal static string Text(GrpoStep p) => string.Create(
        CultureInfo.InvariantCulture,
        $"step {p.Step} of {p.Steps}, reward {p.Reward:F2}, {100 * p.Accuracy:F0}% right, {p.MeanTokens:F0} tokens an answer, {p.RolloutTokensPerSecond:F0} tokens/s sampled, {p.TrainingTokensPerSecond:F0} trained");

    // A grader that fails says in which step; what was learnt up to the last checkpoint is kept.
    private static IReadOnlyList<double> Grade(IGrader grader, IReadOnlyList<GradedAnswer> answers, int step, int steps, CancellationToken cancellationToken)
    {
        try
        {
            return grader.Grade(answers, cancellationToken);
        }
        catch (CompilerException exception) when (exception.Code == DiagnosticCodes.GraderFailed)
        {
            throw new CompilerException(exception.Code, $"Budget forcing stopped at step {step} of {steps}; the last checkpoint is kept. {exception.Message}", exception.File, exception.Line, exception.Column, exception);
        }
    }

    private static BudgetSummary Summary(GrpoDataset data, IReadOnlyList<GrpoStep> steps)
    {
        List<double> Each(Func<GrpoStep, double> value) => [.. steps.Select(s => Statistics.Finite(value(s)) ?? 0)];
        return new BudgetSummary(
            data.Questions.Count,
            Each(s => s.Reward),
            Each(s => s.Accuracy),
            Each(s => s.MeanTokens),
            [.. steps.Select(s => Statistics.Finite(s.WithinBudget))],
            Each(s => s.Kl),
            Each(s => s.Loss),
            Each(s => s.GradientNorm),
            Each(s => s.ZeroDeviation),
            Each(s => s.Clipped),
            Each(s => s.LogProbDisagreement));
    }
}
