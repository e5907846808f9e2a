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
    private const double DecodedRows = 32; // rows of all threads that sample
    private const double QuantizedWeightsPerSecond = 2e7;
    private const double TrainingFlopsPerSecond = 1e11;
    private const double SampleSeconds = 3e-5; // a token of many rows decoded side by side, and its share of a pass's fixed costs
    private const double SamplingFlopsPerSecond = 2.5e11;
    private const double BytesPerQuestion = 250;
    private const double TokensPerExample = 150; // where nothing is known about the data but its number of bytes: 4 bytes a token

    /// <summary>The recorded figures of a stored entry; estimates from file sizes for the others.</summary>
    public static StageEstimate For(PlannedStage stage, CompileInputs inputs, ArtifactStore store)
    {
        if (store.TryRead(stage.Key) is StoreEntry entry)
        {
            return new StageEstimate(stage, true, entry.Record.Seconds, entry.Record.Files.Values.Sum(f => f.Bytes), (long)(entry.Record.PeakRssMb * 1048576));
        }

        double parameters = inputs.Weights.Sum(f => f.Bytes) / 2.0; // checkpoints are mostly bf16
        double bits = inputs.Manifest.Quantization.Weights switch { WeightFormat.Int2 => 3.5, WeightFormat.Int4 => 5.5, WeightFormat.Int8 => 9, _ => 32 };
        double quantized = parameters * bits / 8;
        double dataBytes = inputs.All.Except(inputs.Weights).Sum(f => (double)f.Bytes);
        double caches = DecodedRows * inputs.Context * inputs.Architecture.Layers * inputs.Architecture.KeyValueSize * 2 * CacheBytes(inputs.Manifest.Quantization);
        AdapterSettings? adapter = inputs.Manifest.Adapters.FirstOrDefault(a => a.Name == stage.Adapter);
        (double seconds, double disk, double memory) = stage.Stage switch
        {
            StageNames.Resolve => (1 + (dataBytes / 2e7), dataBytes, ProcessBytes + (4 * dataBytes)),
            StageNames.Quantize => (1 + (parameters / QuantizedWeightsPerSecond), quantized, ProcessBytes + (parameters / Math.Max(1, inputs.Architecture.Layers) * 8)),
            StageNames.Sft when adapter!.Import is not null => (1, 1e6, ProcessBytes),
            StageNames.Sft => Training(inputs, adapter!, parameters, SftTokens(inputs, adapter!)),
            StageNames.Budget => Plus(Training(inputs, adapter!, parameters, BudgetTokens(adapter!)), Sampling(parameters, BudgetTokens(adapter!)), caches),
            StageNames.Verifier => Plus(Training(inputs, adapter!, parameters, VerifierTokens(adapter!)), Sampling(parameters, VerifierTokens(adapter!)), caches),
            StageNames.Switcher => (5 + (inputs.Switcher!.Bytes / 4.0 * 2 * parameters / TrainingFlopsPerSecond), 1e5, ProcessBytes + (parameters * 4) + PromptCacheBytes),
            StageNames.Export => (3 + (parameters / QuantizedWeightsPerSecond), 1e6, ProcessBytes + (parameters * 4) + quantized),
            StageNames.Evaluate => (5 + Sampling(parameters, EvaluationTokens(inputs)), 1e5, ProcessBytes + (parameters * 4) + quantized + (2 * caches)),
            _ => (1 + (quantized / 5e8), quantized + 2e6, ProcessBytes),
        };
        return new StageEstimate(stage, false, seconds, (long)disk, (long)memory);
    }

    /// <summary>Bytes of a stored number of keys or values.</summary>
    private static double CacheBytes(QuantizationSettings settings) => settings switch
    {
        { Weights: WeightFormat.None } or { KeyValueCache: CacheFormat.None } => 4,
        { KeyValueCache: CacheFormat.Int4 } => 0.5,
        _ => 1,
    };

    private static (double Seconds, double Disk, double Memory) Training(CompileInputs inputs, AdapterSettings adapter, double parameters, double tokens)
    {
        double lora = 14.0 * inputs.Architecture.Layers * inputs.Architecture.HiddenSize * adapter.Rank * 2;
        return (5 + (tokens * 6 * parameters / TrainingFlopsPerSecond), lora * 4, ProcessBytes + (parameters * 4) + PromptCacheBytes + (MicroBatchTokens * inputs.Architecture.Layers * ((inputs.Architecture.HiddenSize * 30) + (inputs.Architecture.Heads * TokensPerExample)) * 4));
    }

    private static (double Seconds, double Disk, double Memory) Plus((double Seconds, double Disk, double Memory) training, double seconds, double memory) =>
        (training.Seconds + seconds, training.Disk, training.Memory + memory);

    private static double Sampling(double parameters, double tokens) => tokens * (SampleSeconds + (2 * parameters / SamplingFlopsPerSecond));

    private static double SftTokens(CompileInputs inputs, AdapterSettings adapter) => adapter.Sft.Steps is int steps
        ? (double)steps * adapter.Sft.BatchSize * TokensPerExample
        : inputs.Training[adapter.Name].Bytes / 4.0 * adapter.Sft.Epochs!.Value;

    private static double BudgetTokens(AdapterSettings adapter) =>
        (double)adapter.Budget!.Steps * adapter.Budget.Prompts * adapter.Budget.Samples * Math.Min(TokensPerExample, adapter.Budget.MaxTokens);

    private static double VerifierTokens(AdapterSettings adapter) => (double)adapter.Verifier!.Questions * adapter.Verifier.Samples * TokensPerExample;

    // What is asked, at the length of an ordinary answer; hard budgets are no longer than that.
    private static double EvaluationTokens(CompileInputs inputs)
    {
        EvaluationSettings settings = inputs.Manifest.Evaluation!;
        double questions = Math.Min(settings.MaxExamples ?? int.MaxValue, inputs.Evaluation!.Bytes / BytesPerQuestion);
        double forms = inputs.Manifest.Adapters.Sum(a => a.Budget is null ? 1 : 2);
        double perForm = 1 + (inputs.StatesBudget ? 1 + settings.Seeds : 0) + settings.HardBudgets.Count;
        double answers = questions * (1 + inputs.Manifest.Adapters.Count + (forms * perForm));
        answers += inputs.Routing is null ? 0 : inputs.Routing.Bytes / BytesPerQuestion * 2;
        answers += inputs.Streams is null ? 0 : inputs.Streams.Bytes / BytesPerQuestion * settings.Streams.Max() * settings.Seeds;
        return answers * Math.Min(TokensPerExample, settings.MaxTokens);
    }
}
