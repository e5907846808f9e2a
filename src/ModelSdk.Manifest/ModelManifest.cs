namespace ModelSdk.Manifest;

/// <summary>
/// A model as its manifest (<c>*.model.json</c>) describes it: what is compiled, and what the client offers.
/// Equal by value. Made by <see cref="ManifestParser.Parse"/>, with every default filled in.
/// </summary>
/// <remarks>"paper" in these comments is "Efficient Reasoning on the Edge" (arXiv 2603.16867); see PAPER.md.</remarks>
public sealed record ModelManifest
{
    /// <summary>The most tokens of KV cache that a model may have when the manifest does not say: 4096.</summary>
    /// <remarks>Longer caches cost memory in every session, so a longer one must be asked for.</remarks>
    public const int DefaultContextLimit = 4096;

    /// <summary>The mode of the base model without an adapter.</summary>
    public const string BaseMode = "base";

    /// <summary>The mode that the switcher chooses for each prompt (paper 3).</summary>
    public const string AutoMode = "auto";

    /// <summary>
    /// Name in PascalCase, a C# identifier without the suffix "Model": the client class is <c>{Name}Model</c>.
    /// Default: the file name up to <c>.model.json</c>.
    /// </summary>
    public string Name { get; init; } = "";

    /// <summary>The frozen model that everything is built on (paper 1). Required.</summary>
    public BaseReference Base { get; init; } = new();

    /// <summary>
    /// Tokens of KV cache: prompt, reasoning and answer together. Default null: the base's
    /// <c>max_position_embeddings</c>, at most <see cref="DefaultContextLimit"/>; see <see cref="ContextFor"/>.
    /// </summary>
    public int? Context { get; init; }

    /// <summary>Seed of every random choice of the compiler. Default 1: the same seed on the same machine gives the same bundle.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Texts that are put into prompts and answers.</summary>
    public PromptSettings Prompt { get; init; } = new();

    /// <summary>How weights are stored (paper 6).</summary>
    public QuantizationSettings Quantization { get; init; } = new();

    /// <summary>The reasoning modes, in the manifest's order; may be empty (paper 2).</summary>
    public EquatableArray<AdapterSettings> Adapters { get; init; }

    /// <summary>The head that chooses the mode of a prompt (paper 3). Default null: the caller chooses.</summary>
    public SwitcherSettings? Switcher { get; init; }

    /// <summary>
    /// The mode that answers when the caller names none: an adapter's name, <see cref="BaseMode"/> or, with a switcher,
    /// <see cref="AutoMode"/>.
    /// Default: the only adapter; with none or several, the base.
    /// </summary>
    public string DefaultMode { get; init; } = BaseMode;

    /// <summary>Named limits on generated tokens, in the manifest's order; may be empty (paper 4).</summary>
    public EquatableArray<BudgetSettings> Budgets { get; init; }

    /// <summary>The type of an answer. Default: text.</summary>
    public AnswerSettings Answer { get; init; } = new();

    /// <summary>A program that judges answers. Default null: they are compared by the type of the answer.</summary>
    public GraderSettings? Grader { get; init; }

    /// <summary>
    /// Most tokens of the answer that is forced after a hard budget cut the reasoning (paper 4). Default 16: enough for
    /// a number or a word, which is what a forced answer is for.
    /// </summary>
    public int AnswerTokens { get; init; } = 16;

    /// <summary>The questions that measure the compiled model; null measures nothing.</summary>
    public EvaluationSettings? Evaluation { get; init; }

    /// <summary>Devices that the bundle must fit, in the manifest's order; may be empty.</summary>
    public EquatableArray<TargetSettings> Targets { get; init; }

    /// <summary>
    /// Whether the bundle also has the layout of onnxruntime-genai: a graph over the same weights, genai_config.json, and each adapter in float32. Default true.
    /// </summary>
    public bool Genai { get; init; } = true;

    /// <summary>Tokens of the budget that evaluation states: its own, else the first of the manifest; null where there is none.</summary>
    public int? StatedBudget => Evaluation?.Budget ?? (Budgets.Count > 0 ? Budgets[0].Tokens : null);

    /// <summary>The client class: <c>{Name}Model</c>.</summary>
    public string ClientName => Name + "Model";

    /// <summary>The bundle's folder under <c>models/</c> beside the app: the name in lower case.</summary>
    public string BundleFolder => Name.ToLowerInvariant();

    /// <summary>Tokens of KV cache on a base with <paramref name="maxPositions"/> positions.</summary>
    public int ContextFor(int maxPositions) => Context ?? Math.Min(maxPositions, DefaultContextLimit);
}
