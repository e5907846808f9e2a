namespace ModelSdk.Manifest;

/// <summary>The questions that measure the compiled model.</summary>
public sealed record EvaluationSettings
{
    /// <summary>JSONL with <c>messages</c> and <c>answer</c>, unseen in training; relative to the manifest's folder. Required.</summary>
    public string Data { get; init; } = "";

    /// <summary>The first so many examples of <see cref="Data"/>; null (default) is all.</summary>
    public int? MaxExamples { get; init; }

    /// <summary>Most tokens of one answer with its reasoning. Default 256; must fit the context like a budget.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>
    /// Tokens of the budget that is stated where a measurement states one (paper 4). Default null: the first of the
    /// manifest's budgets; where there is none, nothing is measured with a budget.
    /// </summary>
    public int? Budget { get; init; }

    /// <summary>Temperature of measurements that sample, above 0. Default 0.7 (paper 5).</summary>
    public double Temperature { get; init; } = 0.7;

    /// <summary>Sampling seeds of measurements that sample, 1 to 100: their spread is reported. Default 3 (ours).</summary>
    public int Seeds { get; init; } = 3;

    /// <summary>Tokens of hard budgets: the reasoning is cut there and the answer forced (paper 4). Default none: not measured.</summary>
    public EquatableArray<int> HardBudgets { get; init; }

    /// <summary>Numbers of streams whose votes are measured, 1 to <see cref="BudgetSettings.MaxStreams"/> each (paper 5). Default none: not measured.</summary>
    public EquatableArray<int> Streams { get; init; }

    /// <summary>
    /// Questions for the streams: JSONL with <c>messages</c> and <c>answer</c>, relative to the manifest's folder.
    /// Default null: <see cref="Data"/>. Votes show on questions that one answer often misses.
    /// </summary>
    public string? StreamData { get; init; }

    /// <summary>Sampling temperature of the streams, above 0. Default 0.7 (paper 5).</summary>
    public double StreamTemperature { get; init; } = 0.7;

    /// <summary>
    /// Easy and hard questions that measure the switcher: JSONL with <c>messages</c>, <c>answer</c> and <c>mode</c>,
    /// relative to the manifest's folder (paper 3). Default null: not measured.
    /// </summary>
    public string? SwitcherData { get; init; }

    /// <summary>Limits that fail the compile when they are not kept. Default: none.</summary>
    public GateSettings Gates { get; init; } = new();
}
