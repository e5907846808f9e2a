namespace ModelSdk.Manifest;

/// <content>MDL2xxx: formats of base models and tokenizers.</content>
public static partial class DiagnosticCodes
{
    /// <summary>A file of the base model is missing or cannot be read.</summary>
    public const string ModelFileMissing = "MDL2001";

    /// <summary>A JSON file of the base model is malformed, or a key of it is missing or has the wrong type.</summary>
    public const string ModelJsonInvalid = "MDL2002";

    /// <summary>The base model's architecture (model_type) is not supported.</summary>
    public const string ArchitectureUnsupported = "MDL2003";

    /// <summary>config.json asks for a feature that is not supported (rope scaling, sliding window, activation, ...).</summary>
    public const string ConfigFeatureUnsupported = "MDL2004";

    /// <summary>Values in config.json contradict each other or are out of range.</summary>
    public const string ConfigContradictory = "MDL2005";

    /// <summary>A safetensors file is damaged: header, bounds, overlaps, holes or length.</summary>
    public const string SafetensorsDamaged = "MDL2010";

    /// <summary>A tensor that the model needs is missing from the checkpoint.</summary>
    public const string TensorMissing = "MDL2011";

    /// <summary>A tensor has another shape than config.json implies.</summary>
    public const string TensorShapeMismatch = "MDL2012";

    /// <summary>A tensor has a data type that cannot be read as floating point numbers.</summary>
    public const string TensorTypeUnsupported = "MDL2013";

    /// <summary>The index of a sharded checkpoint is wrong: unknown shard, wrong shard, or a path outside the folder.</summary>
    public const string ShardIndexInvalid = "MDL2014";

    /// <summary>The checkpoint holds a tensor that the architecture does not use.</summary>
    public const string TensorUnexpected = "MDL2015";

    /// <summary>tokenizer.json uses a feature that is not supported; the message names it.</summary>
    public const string TokenizerUnsupported = "MDL2020";

    /// <summary>tokenizer.json contradicts itself (merges of unknown tokens, ids used twice, bytes missing).</summary>
    public const string TokenizerContradictory = "MDL2021";

    /// <summary>The chat template is not one that is rendered exactly.</summary>
    public const string ChatTemplateUnsupported = "MDL2030";

    /// <summary>A training cannot be measured: the manifest has errors, or the examples asked for do not fit the base.</summary>
    public const string TrainingBenchmarkInvalid = "MDL2040";

    private static DiagnosticInfo[] FormatCodes() =>
    [
        new(ModelFileMissing, "A file of the base model is missing or cannot be read"),
        new(ModelJsonInvalid, "A JSON file of the base model is malformed, or a key of it is missing or has the wrong type"),
        new(ArchitectureUnsupported, "The base model's architecture is not supported"),
        new(ConfigFeatureUnsupported, "config.json asks for a feature that is not supported"),
        new(ConfigContradictory, "Values in config.json contradict each other or are out of range"),
        new(SafetensorsDamaged, "A safetensors file is damaged"),
        new(TensorMissing, "A tensor that the model needs is missing from the checkpoint"),
        new(TensorShapeMismatch, "A tensor has another shape than config.json implies"),
        new(TensorTypeUnsupported, "A tensor has a data type that cannot be read as floating point numbers"),
        new(ShardIndexInvalid, "The index of a sharded checkpoint is wrong"),
        new(TensorUnexpected, "The checkpoint holds a tensor that the architecture does not use"),
        new(TokenizerUnsupported, "tokenizer.json uses a feature that is not supported"),
        new(TokenizerContradictory, "tokenizer.json contradicts itself"),
        new(ChatTemplateUnsupported, "The chat template is not one that is rendered exactly"),
        new(TrainingBenchmarkInvalid, "The training to measure cannot run"),
    ];
}
