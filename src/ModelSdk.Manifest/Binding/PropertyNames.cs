namespace ModelSdk.Manifest.Binding;

/// <summary>
/// The properties of each object of a manifest, in the order of the documentation. The published schema and
/// docs/manifest.md have the same (tests compare them).
/// </summary>
internal static class PropertyNames
{
    public static readonly string[] Root =
    [
        "$schema", "name", "base", "context", "seed", "prompt", "quantization", "adapters", "default", "budgets",
        "answer", "answerTokens", "evaluation", "targets",
    ];

    public static readonly string[] Base = ["hub", "revision"];

    public static readonly string[] Prompt = ["system", "budget", "thinkOpen", "thinkClose", "forceAnswer"];

    public static readonly string[] Quantization = ["weights", "block", "embeddings"];

    public static readonly string[] Adapter = ["train", "rank", "alpha", "dropout", "targets", "masked", "sft"];

    public static readonly string[] Sft =
    [
        "steps", "epochs", "batchSize", "learningRate", "warmup", "weightDecay", "maxGradNorm", "checkpointEverySteps",
    ];

    public static readonly string[] Budget = ["tokens"];

    public static readonly string[] Answer = ["type", "choices"];

    public static readonly string[] Evaluation = ["data", "maxExamples", "maxTokens"];

    public static readonly string[] Target = ["rid", "memoryMB", "diskMB"];
}
