namespace ModelSdk.Manifest;

/// <summary>The type of an answer.</summary>
public sealed record AnswerSettings
{
    /// <summary>The type. Default <see cref="AnswerType.Text"/>, which every model can give.</summary>
    public AnswerType Type { get; init; } = AnswerType.Text;

    /// <summary>The answers of a <see cref="AnswerType.Choice"/>, at least two; else empty.</summary>
    public EquatableArray<ChoiceSettings> Choices { get; init; }

    /// <summary>
    /// A <see cref="AnswerType.Number"/> is right when it differs from the expected one by at most this share of it, 0
    /// to 1. Default 1e-6 (ours): equal but for rounding.
    /// </summary>
    public double Tolerance { get; init; } = 1e-6;
}
