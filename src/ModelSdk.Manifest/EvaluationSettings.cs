namespace ModelSdk.Manifest;

/// <summary>The questions that measure the compiled model.</summary>
public sealed record EvaluationSettings
{
    /// <summary>JSONL with <c>messages</c> and <c>answer</c>, unseen in training; relative to the manifest's folder. Required.</summary>
    public string Data { get; init; } = "";

    /// <summary>The first so many examples; null (default) is all.</summary>
    public int? MaxExamples { get; init; }

    /// <summary>Most tokens of one answer with its reasoning. Default 256; must fit the context like a budget.</summary>
    public int MaxTokens { get; init; } = 256;
}
