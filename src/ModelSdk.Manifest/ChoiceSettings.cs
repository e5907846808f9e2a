namespace ModelSdk.Manifest;

/// <summary>One answer of a choice.</summary>
public sealed record ChoiceSettings
{
    /// <summary>What the model writes.</summary>
    public string Text { get; init; } = "";

    /// <summary>The C# enum member that the text becomes.</summary>
    public string Identifier { get; init; } = "";
}
