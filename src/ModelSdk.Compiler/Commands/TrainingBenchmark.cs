using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training;
using TorchSharp;

namespace ModelSdk.Compiler.Commands;

/// <summary>What to fine-tune for a measurement.</summary>
/// <param name="BaseFolder">The base, in Hugging Face layout.</param>
/// <param name="Quantization">How it is quantized before.</param>
/// <param name="Adapter">Rank, targets, masking and schedule.</param>
internal sealed record TrainingBenchmarkSubject(string BaseFolder, QuantizationSettings Quantization, AdapterSettings Adapter)
{
    /// <summary>Base and first adapter of a manifest; an adapter with the default settings where it has none.</summary>
    /// <exception cref="CompilerException">MDL2040: the manifest has errors, which are in the log.</exception>
    public static TrainingBenchmarkSubject Of(string manifestPath, CompilerLog log, CancellationToken cancellationToken)
    {
        CompileInputs inputs = CompileInputs.Read(manifestPath, log, cancellationToken)
            ?? throw new CompilerException(DiagnosticCodes.TrainingBenchmarkInvalid, $"The manifest {manifestPath} has errors, so there is nothing to train. Correct what is reported above.", manifestPath);
        return new TrainingBenchmarkSubject(inputs.BaseFolder, inputs.Manifest.Quantization, inputs.Manifest.Adapters is [AdapterSettings first, ..] ? first : new AdapterSettings());
    }
}

/// <summary>
/// Trains a few steps as the sft stage does, on a base quantized by the same code and on tokens drawn at random, and compares the speed with that
/// of plain matrix products in the same run.
/// </summary>
/// <param name="Subject">What is trained.</param>
/// <param name="Steps">Measured steps; one more runs before them.</param>
/// <param name="Examples">Examples a step.</param>
/// <param name="PromptTokens">Mean tokens of a prompt.</param>
/// <param name="ResponseTokens">Mean tokens of a response; lengths spread evenly from half to one and a half of the mean, as with prompts.</param>
internal sealed record TrainingBenchmark(TrainingBenchmarkSubject Subject, int Steps, int Examples, int PromptTokens, int ResponseTokens)
{
    private static readonly TimeSpan s_peakDuration = TimeSpan.FromSeconds(1);

    /// <summary>Runs; the weights need a folder of the system's temporary files for the time being.</summary>
    /// <exception cref="CompilerException">MDL2040: the examples do not fit the positions of the base.</exception>
    public JsonObject Run(CompilerLog log, CancellationToken cancellationToken)
    {
        string folder = Directory.CreateTempSubdirectory("modelc-bench-").FullName;
        try
        {
            QuantizedModel model;
            SftDataset data;
            TransformerConfig config;
            using (Checkpoint checkpoint = Checkpoint.Open(Subject.BaseFolder)) // Closed before training, as its mapped pages would count as memory of the sft stage, which opens the quantized base only.
            {
                config = checkpoint.Config;
                data = Data(config);
                log.Say("Quantizing the base ...");
                model = QuantizedModel.Quantize(checkpoint, Subject.Quantization, folder, progress: null, cancellationToken);
            }

            double fp32 = MatrixPeak.Measure(torch.ScalarType.Float32, s_peakDuration), bf16 = MatrixPeak.Measure(torch.ScalarType.BFloat16, s_peakDuration);
            ProcessMemory.ResetPeak();
            List<SftProgress> steps = [];
            AdapterSettings adapter = Subject.Adapter with { Sft = Subject.Adapter.Sft with { Steps = Steps + 1, Epochs = null, BatchSize = Examples } };
            SftRecipe.Run(model.Architecture, model.ReadDequantized, data, new SftOptions { Adapter = adapter, Seed = 1 }, new DirectProgress<SftProgress>(step =>
            {
                steps.Add(step);
                log.Say(FormattableString.Invariant($"Step {step.Step} of {step.Steps}: {step.Seconds:F1} s, {step.Flops / step.Seconds / 1e9:F0} GFLOP/s"));
            }), cancellationToken);
            double peakRss = ProcessMemory.PeakBytes() / (double)(1 << 20);
            // Other work on the machine must not make the peak small, so it is looked for on both sides of the training.
            fp32 = Math.Max(fp32, MatrixPeak.Measure(torch.ScalarType.Float32, s_peakDuration));
            bf16 = Math.Max(bf16, MatrixPeak.Measure(torch.ScalarType.BFloat16, s_peakDuration));
            return Report(config, adapter, [.. steps.Skip(1)], fp32, bf16, peakRss);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Random tokens; every example has a prompt of its own and is used once, so that each step encodes its prompts.</summary>
    internal SftDataset Data(TransformerConfig config)
    {
        Random random = new(1);
        int longest = (PromptTokens * 3 / 2) + (ResponseTokens * 3 / 2) + 1;
        if (longest > config.MaxPositions)
        {
            throw new CompilerException(
                DiagnosticCodes.TrainingBenchmarkInvalid,
                $"Examples of up to {longest} tokens do not fit the {config.MaxPositions} positions of the base in {Subject.BaseFolder}. Ask for fewer with --prompt-tokens and --response-tokens.");
        }

        int[] Draw(int mean, int index, int count) =>
            [.. Enumerable.Range(0, Math.Max(1, (int)(mean * (0.5 + ((index + 0.5) / count))))).Select(_ => random.Next(config.VocabularySize))];

        // Lengths are spread over each step's worth of examples, then shuffled with the examples.
        return new SftDataset(Draw(1, 0, 1), [.. Enumerable.Range(0, (Steps + 1) * Examples).Select(i =>
            new SftExample(Draw(PromptTokens, (i * 7) % Examples, Examples), Draw(ResponseTokens, i % Examples, Examples)))]);
    }

    private JsonObject Report(TransformerConfig config, AdapterSettings adapter, IReadOnlyList<SftProgress> steps, double fp32, double bf16, double peakRss)
    {
        double seconds = steps.Sum(s => s.Seconds), flops = steps.Sum(s => s.Flops) / seconds;
        bool half = ComputeOptions.Fastest.Type == torch.ScalarType.BFloat16;
        return new JsonObject
        {
            ["machine"] = $"{RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} processors",
            ["threads"] = torch.get_num_threads(),
            ["base"] = Subject.BaseFolder,
            ["parameters"] = Qwen2Tensors.Of(config).Sum(t => t.Shape.Aggregate(1L, (a, b) => a * b)),
            ["rank"] = adapter.Rank,
            ["targets"] = new JsonArray([.. adapter.Targets.Select(t => (JsonNode)t)]),
            ["masked"] = adapter.Masked,
            ["examplesPerStep"] = Examples,
            ["promptTokens"] = PromptTokens,
            ["responseTokens"] = ResponseTokens,
            ["steps"] = new JsonArray([.. steps.Select(s => (JsonNode)new JsonObject
            {
                ["seconds"] = Math.Round(s.Seconds, 6),
                ["trainedTokens"] = Math.Round(s.TokensPerSecond * s.Seconds),
                ["promptTokens"] = s.PromptTokens,
                ["gflop"] = Math.Round(s.Flops / 1e9, 6),
                ["loss"] = Math.Round(s.Loss, 4),
            })]),
            ["tokensPerSecond"] = Math.Round(steps.Sum(s => (s.TokensPerSecond * s.Seconds) + s.PromptTokens) / seconds, 1),
            ["trainedTokensPerSecond"] = Math.Round(steps.Sum(s => s.TokensPerSecond * s.Seconds) / seconds, 1),
            ["gflops"] = Math.Round(flops / 1e9, 3),
            ["peakGflops"] = new JsonObject { ["fp32"] = Math.Round(fp32 / 1e9, 1), ["bf16"] = Math.Round(bf16 / 1e9, 1) },
            ["type"] = half ? "bf16" : "fp32",
            ["fractionOfPeak"] = Math.Round(flops / (half ? bf16 : fp32), 5),
            ["peakRssMb"] = Math.Round(peakRss, 1),
        };
    }
}
