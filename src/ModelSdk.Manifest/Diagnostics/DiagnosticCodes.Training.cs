namespace ModelSdk.Manifest;

/// <content>MDL3xxx: data and training.</content>
public static partial class DiagnosticCodes
{
    /// <summary>The native libraries of torch are missing or cannot be loaded.</summary>
    public const string TorchUnavailable = "MDL3001";

    /// <summary>A data file is missing or cannot be read.</summary>
    public const string DataFileMissing = "MDL3010";

    /// <summary>A line of a data file is malformed: no JSON object, or its messages cannot be trained on.</summary>
    public const string DataLineInvalid = "MDL3011";

    /// <summary>A data file holds no example.</summary>
    public const string DataEmpty = "MDL3012";

    /// <summary>An example has more tokens than the context.</summary>
    public const string ExampleTooLong = "MDL3013";

    /// <summary>Questions of the evaluation data are in the training data.</summary>
    public const string EvaluationQuestionTrained = "MDL3014";

    /// <summary>An adapter is trained on prompts too, which the runtime does not do.</summary>
    public const string UnmaskedAdapter = "MDL3015";

    /// <summary>A setting of the training contradicts the model or another setting.</summary>
    public const string TrainingSettingInvalid = "MDL3020";

    /// <summary>The loss or the gradients became NaN or infinite.</summary>
    public const string LossNotFinite = "MDL3021";

    /// <summary>A training checkpoint is damaged or belongs to another run.</summary>
    public const string CheckpointInvalid = "MDL3022";

    /// <summary>Budget forcing learns nothing: the samples of each question all get the same reward.</summary>
    public const string RewardsFlat = "MDL3023";

    /// <summary>The manifest's grading program cannot be started, crashed, hung, or gave no usable scores.</summary>
    public const string GraderFailed = "MDL3030";

    private static DiagnosticInfo[] TrainingCodes() =>
    [
        new(TorchUnavailable, "The native libraries of torch are missing or cannot be loaded"),
        new(DataFileMissing, "A data file is missing or cannot be read"),
        new(DataLineInvalid, "A line of a data file is malformed"),
        new(DataEmpty, "A data file holds no example"),
        new(ExampleTooLong, "An example has more tokens than the context"),
        new(EvaluationQuestionTrained, "Evaluation questions are in the training data"),
        new(UnmaskedAdapter, "An adapter is trained on prompts too"),
        new(TrainingSettingInvalid, "A setting of the training contradicts the model or another setting"),
        new(LossNotFinite, "The loss or the gradients became NaN or infinite"),
        new(CheckpointInvalid, "A training checkpoint is damaged or belongs to another run"),
        new(RewardsFlat, "The samples of each question all get the same reward"),
        new(GraderFailed, "The grading program failed"),
    ];
}
