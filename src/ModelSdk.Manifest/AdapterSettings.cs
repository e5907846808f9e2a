namespace ModelSdk.Manifest;

/// <summary>One reasoning mode: LoRA matrices trained on the quantized base (paper 2, 6).</summary>
public sealed record AdapterSettings
{
    /// <summary>The linear layers of a block, in graph order.</summary>
    public static EquatableArray<string> AllTargets { get; } =
        new(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]);

    /// <summary>The name in the manifest; names the mode and its folder in the bundle.</summary>
    public string Name { get; init; } = "";

    /// <summary>The C# member that the name becomes.</summary>
    public string Identifier { get; init; } = "";

    /// <summary>Training data: JSONL with <c>messages</c> and, optionally, <c>answer</c>; relative to the manifest's folder. Required, unless the adapter is imported; then empty.</summary>
    public string Train { get; init; } = "";

    /// <summary>
    /// Folder of a trained adapter in PEFT's layout, relative to the manifest's folder; it takes the place of training, and its files say rank,
    /// alpha and targets. Default null: the adapter is trained.
    /// </summary>
    public string? Import { get; init; }

    /// <summary>
    /// Rank of the LoRA matrices, 1 to 1024. Default 16 (ours): every rank costs decode time, and small tasks need
    /// little; the paper uses 128 and finds 64 to 256 alike on 7B (paper 2).
    /// </summary>
    public int Rank { get; init; } = 16;

    /// <summary>The LoRA product is scaled by alpha / rank. Default twice the rank (paper 2).</summary>
    public double Alpha { get; init; } = 32;

    /// <summary>
    /// Share of the adapter's inputs that is dropped in training, 0 up to but not 1. Default 0 (ours): short runs do not
    /// overfit, and they repeat exactly; the paper uses 0.1 over five epochs (paper 2).
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>The linear layers that carry LoRA, in <see cref="AllTargets"/>' order. Default all (paper 2).</summary>
    public EquatableArray<string> Targets { get; init; } = AllTargets;

    /// <summary>
    /// Masked LoRA: the adapter is off on prompt tokens up to the generation prompt, so that all modes share the
    /// prompt's KV cache. Default true, at no loss of accuracy (paper 2); false is for ablations, and re-encodes prompts.
    /// </summary>
    public bool Masked { get; init; } = true;

    /// <summary>Supervised fine-tuning (paper 2).</summary>
    public SftSettings Sft { get; init; } = new();

    /// <summary>Budget forcing (paper 4). Default null: the adapter stays as fine-tuning left it.</summary>
    public BudgetForcingSettings? Budget { get; init; }

    /// <summary>The verifier of parallel reasoning (paper 5). Default null: streams vote with equal weight.</summary>
    public VerifierSettings? Verifier { get; init; }

    /// <summary>The file with the questions of budget forcing; null where there is none.</summary>
    public string? BudgetData => Budget is null ? null : Budget.Data ?? TrainOrNull;

    /// <summary>The file with the questions of the verifier; null where there is none.</summary>
    public string? VerifierData => Verifier is null ? null : Verifier.Data ?? BudgetData ?? TrainOrNull;

    private string? TrainOrNull => Train.Length == 0 ? null : Train;
}
