namespace ModelSdk.Manifest;

/// <summary>
/// A program that judges answers in place of the comparison by answer type, in training and evaluation: it reads lines
/// <c>{"id","question","expected","answer","output"}</c> from its input and writes <c>{"id","score"}</c>, 0 to 1, for each.
/// </summary>
public sealed record GraderSettings
{
    /// <summary>The program and its arguments, at least the program; run in the manifest's folder, by no shell. Required.</summary>
    public EquatableArray<string> Command { get; init; }

    /// <summary>Seconds for one batch of answers, 1 to 86,400. Default 30 (ours): a program that hangs must stop a build soon.</summary>
    public int TimeoutSeconds { get; init; } = 30;
}
