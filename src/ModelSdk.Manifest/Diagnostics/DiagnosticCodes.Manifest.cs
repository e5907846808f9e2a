namespace ModelSdk.Manifest;

/// <content>MDL1xxx: manifest and lock file.</content>
public static partial class DiagnosticCodes
{
    /// <summary>The text is not JSON (comments and trailing commas are allowed).</summary>
    public const string InvalidJson = "MDL1001";

    /// <summary>The file is larger than a manifest may be.</summary>
    public const string FileTooLarge = "MDL1002";

    /// <summary>Arrays and objects are nested deeper than any manifest needs.</summary>
    public const string NestedTooDeep = "MDL1003";

    /// <summary>One object has the same property twice.</summary>
    public const string DuplicateProperty = "MDL1004";

    /// <summary>No property of this name exists here.</summary>
    public const string UnknownProperty = "MDL1005";

    /// <summary>A value has another JSON type than its property.</summary>
    public const string WrongType = "MDL1006";

    /// <summary>A property that must be given is missing.</summary>
    public const string MissingProperty = "MDL1007";

    /// <summary>A number lies outside its range.</summary>
    public const string OutOfRange = "MDL1008";

    /// <summary>A text is none of the values that its property knows, or is empty.</summary>
    public const string InvalidValue = "MDL1009";

    /// <summary>A name cannot become a C# identifier or a file name.</summary>
    public const string InvalidName = "MDL1010";

    /// <summary>Two names become the same C# identifier.</summary>
    public const string NameCollision = "MDL1011";

    /// <summary>A name that the client needs for itself.</summary>
    public const string ReservedName = "MDL1012";

    /// <summary>A token budget leaves no room for a prompt in the context.</summary>
    public const string BudgetExceedsContext = "MDL1013";

    /// <summary>The default mode is no adapter of this model.</summary>
    public const string UnknownDefaultMode = "MDL1014";

    /// <summary>A text template lacks its placeholder.</summary>
    public const string InvalidTemplate = "MDL1015";

    /// <summary>Two properties exclude each other.</summary>
    public const string ConflictingProperties = "MDL1016";

    /// <summary>A hub reference is not an id and a pinned revision.</summary>
    public const string InvalidHubReference = "MDL1017";

    /// <summary>Base models are read from folders only, as yet.</summary>
    public const string HubNotSupported = "MDL1018";

    /// <summary>A setting needs another one, which is off.</summary>
    public const string RequiresSetting = "MDL1019";

    /// <summary>A file or folder that the manifest names does not exist.</summary>
    public const string FileNotFound = "MDL1020";

    /// <summary>A path leads back to itself.</summary>
    public const string PathCycle = "MDL1021";

    /// <summary>A file exists but cannot be read.</summary>
    public const string FileUnreadable = "MDL1022";

    /// <summary>The context is longer than the base model's positions.</summary>
    public const string ContextExceedsBase = "MDL1023";

    /// <summary>Training and evaluation read the same file.</summary>
    public const string EvaluationOnTrainingData = "MDL1024";

    /// <summary>The lock file cannot be used.</summary>
    public const string InvalidLock = "MDL1030";

    /// <summary>Fewer bits per weight are asked for than any format takes.</summary>
    public const string BitsBelowFormat = "MDL1031";

    private static DiagnosticInfo[] ManifestCodes() =>
    [
        new(InvalidJson, "The file is not valid JSON"),
        new(FileTooLarge, "The file is too large"),
        new(NestedTooDeep, "The JSON is nested too deep"),
        new(DuplicateProperty, "A property is given twice"),
        new(UnknownProperty, "Unknown property"),
        new(WrongType, "A value has the wrong type"),
        new(MissingProperty, "A required property is missing"),
        new(OutOfRange, "A number is out of range"),
        new(InvalidValue, "A value is not one of those allowed"),
        new(InvalidName, "A name cannot be used"),
        new(NameCollision, "Two names become the same identifier"),
        new(ReservedName, "A name is reserved"),
        new(BudgetExceedsContext, "A token budget does not fit the context"),
        new(UnknownDefaultMode, "The default mode does not exist"),
        new(InvalidTemplate, "A template lacks its placeholder"),
        new(ConflictingProperties, "Two properties exclude each other"),
        new(InvalidHubReference, "A hub reference is not valid"),
        new(HubNotSupported, "Hub references are not supported yet"),
        new(RequiresSetting, "A setting needs another that is off"),
        new(FileNotFound, "A file or folder does not exist"),
        new(PathCycle, "A path leads back to itself"),
        new(FileUnreadable, "A file cannot be read"),
        new(ContextExceedsBase, "The context is longer than the base model allows"),
        new(EvaluationOnTrainingData, "Evaluation reads training data"),
        new(InvalidLock, "The lock file cannot be used"),
        new(BitsBelowFormat, "Fewer bits per weight than any format takes"),
    ];
}
