namespace ModelSdk.Manifest;

/// <content>MDL4xxx: export and numerics.</content>
public static partial class DiagnosticCodes
{
    /// <summary>The columns of a weight do not divide by the quantization block.</summary>
    public const string BlockDoesNotDivide = "MDL4001";

    /// <summary>A weight holds NaN or an infinity.</summary>
    public const string WeightNotFinite = "MDL4002";

    /// <summary>A quantization setting is none of the supported ones.</summary>
    public const string QuantizationSettingInvalid = "MDL4003";

    /// <summary>The folder of quantized weights is incomplete or damaged.</summary>
    public const string QuantizedWeightsInvalid = "MDL4004";

    /// <summary>An adapter's files are missing, damaged or contradict each other.</summary>
    public const string AdapterInvalid = "MDL4010";

    /// <summary>An adapter asks for a feature that is not supported; the message names it.</summary>
    public const string AdapterFeatureUnsupported = "MDL4011";

    /// <summary>An adapter does not fit the model: a linear that the model lacks, or another shape.</summary>
    public const string AdapterDoesNotFit = "MDL4012";

    /// <summary>A switcher's or verifier's head is missing, damaged or does not fit the model.</summary>
    public const string HeadInvalid = "MDL4013";

    /// <summary>The context asked for is longer than the model's positions.</summary>
    public const string ContextTooLong = "MDL4020";

    /// <summary>What the exporter wrote does not compute what it should; the message says what and by how much.</summary>
    public const string ExportVerificationFailed = "MDL4030";

    /// <summary>ONNX Runtime does not load or run a graph that the exporter wrote.</summary>
    public const string ExportedGraphRejected = "MDL4031";

    /// <summary>The bits per weight that were asked for are fewer than any choice of formats takes.</summary>
    public const string BitBudgetTooSmall = "MDL4050";

    /// <summary>A calibration's activations are NaN or infinite.</summary>
    public const string CalibrationNotFinite = "MDL4051";

    /// <summary>A transform does not fit the model or cannot be undone.</summary>
    public const string TransformInvalid = "MDL4060";

    /// <summary>An adapter is asked for that was not compiled.</summary>
    public const string AdapterNotCompiled = "MDL4061";

    /// <summary>The base computes keys or values that are no numbers, so no scales can be chosen for its cache.</summary>
    public const string CacheRangeInvalid = "MDL4070";

    private static DiagnosticInfo[] ExportCodes() =>
    [
        new(BlockDoesNotDivide, "The columns of a weight do not divide by the quantization block"),
        new(WeightNotFinite, "A weight holds NaN or an infinity"),
        new(QuantizationSettingInvalid, "A quantization setting is none of the supported ones"),
        new(QuantizedWeightsInvalid, "The folder of quantized weights is incomplete or damaged"),
        new(AdapterInvalid, "An adapter's files are missing, damaged or contradict each other"),
        new(AdapterFeatureUnsupported, "An adapter asks for a feature that is not supported"),
        new(AdapterDoesNotFit, "An adapter does not fit the model"),
        new(HeadInvalid, "A switcher's or verifier's head does not fit the model"),
        new(ContextTooLong, "The context asked for is longer than the model's positions"),
        new(ExportVerificationFailed, "What the exporter wrote does not compute what it should"),
        new(BitBudgetTooSmall, "The bits per weight cannot be kept"),
        new(CalibrationNotFinite, "A calibration's activations are not finite"),
        new(ExportedGraphRejected, "ONNX Runtime does not load or run a graph that the exporter wrote"),
        new(TransformInvalid, "A transform does not fit the model or cannot be undone"),
        new(AdapterNotCompiled, "An adapter is asked for that was not compiled"),
        new(CacheRangeInvalid, "The base computes keys or values that are no numbers"),
    ];
}
