namespace ModelSdk.Manifest.Binding;

/// <summary>
/// The properties of each object of a manifest, in the order of the documentation. The published schema and
/// docs/manifest.md have the same (tests compare them).
/// </summary>
internal static class PropertyNames
{
    public static readonly string[] Root =
    [
        "$schema", "name", "base", "context", "seed", "prompt", "quantization", "adapters", "switcher", "default",
        "budgets", "answer", "grader", "answerTokens", "evaluation", "targets", "genai",
    ];

    public static readonly string[] Base = ["hub", "revision"];

    public static readonly string[] Prompt = ["system", "budget", "thinkOpen", "thinkClose", "forceAnswer"];

    public static readonly string[] Quantization = ["weights", "bitsPerWeight", "block", "embeddings", "keyValueCache", "quality", "calibration"];

    public static readonly string[] Adapter = ["train", "import", "rank", "alpha", "dropout", "targets", "masked", "sft", "budget", "verifier"];

    public static readonly string[] Sft =
    [
        "steps", "epochs", "batchSize", "learningRate", "warmup", "weightDecay", "maxGradNorm", "checkpointEverySteps",
    ];

    public static readonly string[] BudgetForcing =
    [
        "data", "steps", "prompts", "samples", "temperature", "learningRate", "warmup", "maxGradNorm", "weightDecay",
        "budgets", "statedShare", "margin", "floor", "length", "kl", "klReference", "clip", "clipHigh", "advantage",
        "resample", "tighten", "truncated", "maxTokens", "checkpointEverySteps",
    ];

    public static readonly string[] Verifier =
    [
        "data", "questions", "samples", "temperature", "holdout", "prompt", "lora", "confidence", "steps", "batchSize", "learningRate",
    ];

    public static readonly string[] Switcher =
    [
        "train", "hidden", "dropout", "noise", "chunk", "smoothing", "steps", "batchSize", "learningRate", "weightDecay",
        "threshold",
    ];

    public static readonly string[] Budget = ["tokens", "streams"];

    public static readonly string[] Answer = ["type", "choices", "tolerance"];

    public static readonly string[] Grader = ["command", "timeoutSeconds"];

    public static readonly string[] Evaluation =
    [
        "data", "maxExamples", "maxTokens", "budget", "temperature", "seeds", "hardBudgets", "streams", "streamData",
        "streamTemperature", "switcherData", "gates",
    ];

    public static readonly string[] Gates =
    [
        "minAccuracy", "maxMeanTokens", "minLengthReduction", "minWithinBudget", "minSwitcherAuc", "minVerifierAuc",
    ];

    public static readonly string[] Target = ["rid", "memoryMB", "diskMB"];
}
