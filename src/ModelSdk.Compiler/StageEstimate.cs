using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;

namespace ModelSdk.Compiler;

/// <summary>What a stage takes, or took when it was made.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Cached">Whether the store holds it.</param>
/// <param name="Seconds">Time to make it.</param>
/// <param name="DiskBytes">Size of its entry.</param>
/// <param name="MemoryBytes">Peak resident memory.</param>
internal sealed record StageEstimate(PlannedStage Stage, bool Cached, double Seconds, long DiskBytes, long MemoryBytes)
{
    // Rates of 2 cores of an AMD EPYC (Zen 5) on the sample's model: enough for the order of magnitude that a plan is read for.
    private const double ProcessBytes = 3e8; // runtime, libtorch and ONNX Runtime before any weight
    private const double PromptCacheBytes = 1L << 30; // the training's limit for keys and values of prompts
    private const double MicroBatchTokens = 6144;
    private const double DecodedRows = 256;
    private const double QuantizedWeightsPerSecond = 2e7;
    private const double TrainingFlopsPerSecond = 1e11;
    private const double DecodeBytesPerSecond = 1e10;
    private const double TokensPerExample = 150; // where nothing is known about the data but its number of bytes: 4 bytes a token

    /// <summary>The recorded figures of a stored entry; estimates from file sizes for the others.</summary>
    public static StageEstimate For(PlannedStage stage, CompileInputs inputs, ArtifactStore store)
    {
        if (store.TryRead(stage.Key) is StoreEntry entry)
        {
            return new StageEstimate(stage, true, entry.Record.Seconds, entry.Record.Files.Values.Sum(f => f.Bytes), (long)(entry.Record.PeakRssMb * 1048576));
        }

        double parameters = inputs.Weights.Sum(f => f.Bytes) / 2.0; // checkpoints are mostly bf16
        double bits = inputs.Manifest.Quantization.Weights switch { WeightFormat.Int4 => 5.5, WeightFormat.Int8 => 9, _ => 32 };
        double quantized = parameters * bits / 8;
        double dataBytes = inputs.Base.Values.Concat(inputs.Training.Values).Append(inputs.Evaluation).Sum(f => f?.Bytes ?? 0);
        (double seconds, double disk, double memory) = stage.Stage switch
        {
            StageNames.Resolve => (1 + (dataBytes / 2e7), dataBytes, ProcessBytes + (4 * dataBytes)),
            StageNames.Quantize => (1 + (parameters / QuantizedWeightsPerSecond), quantized, ProcessBytes + (parameters / Math.Max(1, inputs.Architecture.Layers) * 8)),
            StageNames.Sft => Training(inputs, inputs.Manifest.Adapters.Single(a => a.Name == stage.Adapter), parameters),
            StageNames.Export => (3 + (parameters / QuantizedWeightsPerSecond), 1e6, ProcessBytes + (parameters * 4) + quantized),
            StageNames.Evaluate => (Evaluation(inputs, quantized), 1e5, ProcessBytes + (parameters * 4) + quantized + (4 * DecodedRows * inputs.Context * inputs.Architecture.Layers * inputs.Architecture.KeyValueSize * 8)),
            _ => (1 + (quantized / 5e8), quantized + 2e6, ProcessBytes),
        };
        return new StageEstimate(stage, false, seconds, (long)disk, (long)memory);
    }

    private static (double Seconds, double Disk, double Memory) Training(CompileInputs inputs, AdapterSettings adapter, double parameters)
    {
        InputFile data = inputs.Training[adapter.Name];
        double tokens = adapter.Sft.Steps is int steps
            ? (double)steps * adapter.Sft.BatchSize * TokensPerExample
            : data.Bytes / 4.0 * adapter.Sft.Epochs!.Value;
        double lora = 14.0 * inputs.Architecture.Layers * inputs.Architecture.HiddenSize * adapter.Rank * 2;
        return (5 + (tokens * 6 * parameters / TrainingFlopsPerSecond), lora * 4, ProcessBytes + (parameters * 4) + PromptCacheBytes + (MicroBatchTokens * inputs.Architecture.Layers * ((inputs.Architecture.HiddenSize * 30) + (inputs.Architecture.Heads * TokensPerExample)) * 4));
    }

    private static double Evaluation(CompileInputs inputs, double quantized)
    {
        double examples = Math.Min(inputs.Manifest.Evaluation!.MaxExamples ?? int.MaxValue, inputs.Evaluation!.Bytes / 250.0);
        double stepSeconds = 3e-4 + (quantized / DecodeBytesPerSecond);
        return 5 + (examples * TokensPerExample * stepSeconds * (1 + inputs.Manifest.Adapters.Count) / Math.Min(2, Environment.ProcessorCount));
    }
}
