namespace ModelSdk.Manifest;

/// <content>MDL51xx: bundles; MDL60xx: clients at run time.</content>
public static partial class DiagnosticCodes
{
    /// <summary>The bundle folder or its model.json is missing.</summary>
    public const string BundleMissing = "MDL5101";

    /// <summary>model.json is malformed, truncated or contradicts itself.</summary>
    public const string BundleManifestInvalid = "MDL5102";

    /// <summary>The bundle was written in a format version that this runtime does not read.</summary>
    public const string BundleVersionUnsupported = "MDL5103";

    /// <summary>A file that model.json lists is missing from the bundle.</summary>
    public const string BundleFileMissing = "MDL5104";

    /// <summary>A file of the bundle has another length than model.json states (truncated or replaced).</summary>
    public const string BundleFileTruncated = "MDL5105";

    /// <summary>A file of the bundle, or model.json itself, does not match its digest.</summary>
    public const string BundleTampered = "MDL5106";

    /// <summary>A graph of the bundle cannot be loaded by ONNX Runtime.</summary>
    public const string BundleGraphInvalid = "MDL5107";

    /// <summary>The bundle is not the one that the generated client was compiled for.</summary>
    public const string BundleContractMismatch = "MDL5108";

    /// <summary>The prompt leaves no room for an answer in the model's context.</summary>
    public const string PromptTooLong = "MDL6001";

    /// <summary>The mode asked for is neither "base" nor an adapter of the bundle.</summary>
    public const string AdapterUnknown = "MDL6002";

    /// <summary>The model's answer is not of the type that was asked for.</summary>
    public const string AnswerFormat = "MDL6003";

    /// <summary>A request to the model contradicts itself or is out of range.</summary>
    public const string RequestInvalid = "MDL6004";

    /// <summary>The model computed values that are not numbers (NaN).</summary>
    public const string LogitsInvalid = "MDL6005";

    private static DiagnosticInfo[] RuntimeCodes() =>
    [
        new(BundleMissing, "The bundle folder or its model.json is missing"),
        new(BundleManifestInvalid, "model.json is malformed, truncated or contradicts itself"),
        new(BundleVersionUnsupported, "The bundle was written in a format version that this runtime does not read"),
        new(BundleFileMissing, "A file that model.json lists is missing from the bundle"),
        new(BundleFileTruncated, "A file of the bundle has another length than model.json states"),
        new(BundleTampered, "A file of the bundle, or model.json itself, does not match its digest"),
        new(BundleGraphInvalid, "A graph of the bundle cannot be loaded by ONNX Runtime"),
        new(BundleContractMismatch, "The bundle is not the one that the generated client was compiled for"),
        new(PromptTooLong, "The prompt leaves no room for an answer in the model's context"),
        new(AdapterUnknown, "The mode asked for is neither 'base' nor an adapter of the bundle"),
        new(AnswerFormat, "The model's answer is not of the type that was asked for"),
        new(RequestInvalid, "A request to the model contradicts itself or is out of range"),
        new(LogitsInvalid, "The model computed values that are not numbers"),
    ];
}
