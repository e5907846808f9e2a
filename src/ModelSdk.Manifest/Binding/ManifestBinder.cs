using System.Globalization;
using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest.Binding;

/// <summary>Makes a manifest of JSON; the order of the methods is the order of the properties in the documentation.</summary>
internal sealed class ManifestBinder
{
    /// <summary>A limit on token counts that is beyond every model.</summary>
    private const int MaxTokens = 1 << 20;

    /// <summary>A limit on optimizer steps that is beyond every training.</summary>
    private const int MaxSteps = 100_000_000;

    private static readonly string[] WeightFormats = ["int4", "int8", "int2", "none"];
    private static readonly string[] EmbeddingFormats = ["int4", "int8"];
    private static readonly string[] CacheFormats = ["int8", "int4", "none"];
    private static readonly string[] Qualities = ["fast", "balanced", "best"];
    private static readonly string[] AnswerTypes = ["text", "integer", "number", "choice"];
    private static readonly string[] CountedLengths = ["total", "think"];
    private static readonly string[] KlReferences = ["sft", "base"];
    private static readonly string[] AdvantageScales = ["group", "batch"];
    private static readonly string[] Truncations = ["zero", "mask"];

    private readonly BindingContext context;
    private readonly ObjectReader root;

    private ManifestBinder(BindingContext context, ObjectReader root)
    {
        this.context = context;
        this.root = root;
    }

    /// <summary>The manifest; not to be used when an error was reported, and null when there is nothing to read.</summary>
    public static ModelManifest? Bind(JsonValue value, BindingContext context) =>
        ObjectReader.Open(context, value, "", "the manifest", PropertyNames.Root) is { } root
            ? new ManifestBinder(context, root).Bind()
            : null;

    private ModelManifest Bind()
    {
        root.Text("$schema");
        int? tokens = root.IntegerOrNull("context", 32, MaxTokens, "tokens");
        var manifest = new ModelManifest
        {
            Name = BindName(),
            Base = BindBase(),
            Context = tokens,
            Seed = root.Integer("seed", 0, int.MaxValue, "") ?? 1,
            Prompt = BindPrompt(),
            Quantization = BindQuantization(),
            Adapters = BindAdapters(),
            Switcher = BindSwitcher(),
            Budgets = BindBudgets(),
            Answer = BindAnswer(),
            Grader = BindGrader(),
            AnswerTokens = root.Integer("answerTokens", 1, MaxTokens, "tokens") ?? 16,
            Evaluation = BindEvaluation(),
            Targets = BindTargets(),
            Genai = root.Flag("genai", true),
        };
        manifest = manifest with { DefaultMode = BindDefault(manifest.Adapters, manifest.Switcher) };
        ContextFit.Check(manifest, tokens ?? ModelManifest.DefaultContextLimit, context.ErrorAt);

        Requirements.Check(manifest, context);
        return manifest;
    }

    private string BindName()
    {
        JsonValue? given = root.Find("name");
        string? name = given is null ? FileStem(context.Source.Path) : root.Text("name");
        if (name is null) return "";
        string? identifier = CSharpNames.ToIdentifier(name);
        if (identifier is null)
        {
            context.Error(
                given?.Range ?? new TextRange(root.Range.Start, 1),
                DiagnosticCodes.InvalidName,
                $"The model's name {JsonReader.Quote(name)}{(given is null ? " (of the file)" : "")} cannot become a C# identifier of at most {CSharpNames.MaxLength} characters; give another with \"name\".");
            return "";
        }

        const string Suffix = "Model";
        return identifier.Length > Suffix.Length && identifier.EndsWith(Suffix, StringComparison.Ordinal)
            ? identifier.Substring(0, identifier.Length - Suffix.Length)
            : identifier;
    }

    /// <summary>The file name up to <c>.model.json</c>, or else up to its last point.</summary>
    private static string FileStem(string path)
    {
        string file = path.Substring(path.LastIndexOfAny(['/', '\\']) + 1);
        if (file.EndsWith(".model.json", StringComparison.OrdinalIgnoreCase)) return file.Substring(0, file.Length - ".model.json".Length);
        int point = file.LastIndexOf('.');
        return point > 0 ? file.Substring(0, point) : file;
    }

    private BaseReference BindBase()
    {
        JsonValue? value = root.Require("base", "the folder of the base model in Hugging Face layout.");
        if (value is null) return new BaseReference();
        if (value.Kind == JsonKind.String)
        {
            string? folder = root.Text("base");
            return folder is not null && root.IsPath(folder, value.Range) ? new BaseReference { Folder = folder } : new BaseReference();
        }

        if (value.Kind != JsonKind.Object)
        {
            root.WrongType(value, "base", "a folder, or an object with 'hub' and 'revision'");
            return new BaseReference();
        }

        ObjectReader hub = ObjectReader.Open(context, value, "base", "the hub reference", PropertyNames.Base)!;
        string? id = hub.RequiredText("hub", "an id such as \"Qwen/Qwen2.5-0.5B-Instruct\".");
        string? revision = hub.RequiredText("revision", "the commit to use, so that the weights are pinned.");
        if (id is not null && !IsHubId(id))
            context.Error(hub.Find("hub")!.Range, DiagnosticCodes.InvalidHubReference, $"{JsonReader.Quote(id)} is no hub id; write owner/name.");
        if (revision is not null && !(revision.Length == 40 && revision.All(Uri.IsHexDigit)))
            context.Error(hub.Find("revision")!.Range, DiagnosticCodes.InvalidHubReference, $"{JsonReader.Quote(revision)} is no commit; a revision is pinned by its 40 hexadecimal digits.");
        return new BaseReference { Hub = id, Revision = revision?.ToLowerInvariant() };
    }

    private static bool IsHubId(string id)
    {
        string[] parts = id.Split('/');
        return parts.Length == 2 && parts.All(p =>
            p.Length is > 0 and <= 96 && p.Trim('.').Length > 0
            && p.All(c => c is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9') or '-' or '_' or '.'));
    }

    private PromptSettings BindPrompt()
    {
        if (Open(root, "prompt", "'prompt'", PropertyNames.Prompt) is not { } prompt) return new PromptSettings();
        var settings = new PromptSettings { System = prompt.TextOrNull("system") };
        if (prompt.Text("budget") is { } budget)
        {
            if (budget.Contains(PromptSettings.BudgetPlaceholder)) settings = settings with { Budget = budget };
            else InvalidTemplate(prompt, "budget", $"'budget' must contain {PromptSettings.BudgetPlaceholder}, which the number of tokens replaces.");
        }

        settings = settings with
        {
            ThinkOpen = prompt.Text("thinkOpen") ?? settings.ThinkOpen,
            ThinkClose = prompt.Text("thinkClose") ?? settings.ThinkClose,
        };
        if (settings.ThinkOpen == settings.ThinkClose)
            context.Error((prompt.Find("thinkClose") ?? prompt.Find("thinkOpen"))!.Range, DiagnosticCodes.InvalidValue, "'thinkOpen' and 'thinkClose' must differ; the reasoning could not be told from the answer.");
        settings = settings with { ForceAnswer = settings.ThinkClose + "\n\n" };
        if (prompt.Text("forceAnswer") is { } force)
        {
            if (force.Contains(settings.ThinkClose)) settings = settings with { ForceAnswer = force };
            else InvalidTemplate(prompt, "forceAnswer", $"'forceAnswer' must contain {JsonReader.Quote(settings.ThinkClose)}, after which the answer begins.");
        }

        return settings;
    }

    private void InvalidTemplate(ObjectReader reader, string name, string message) =>
        context.Error(reader.Find(name)!.Range, DiagnosticCodes.InvalidTemplate, message);

    private QuantizationSettings BindQuantization()
    {
        var settings = new QuantizationSettings();
        if (Open(root, "quantization", "'quantization'", PropertyNames.Quantization) is not { } quantization) return settings;
        int? block = quantization.Integer("block", 1, 1 << 16, "weights");
        if (block is not (null or 32 or 64 or 128 or 256))
        {
            context.Error(quantization.Find("block")!.Range, DiagnosticCodes.InvalidValue, $"'block' cannot be {block.Value.ToString(CultureInfo.InvariantCulture)}; it is one of 32, 64, 128, 256.");
            block = null;
        }

        double? bits = quantization.Number("bitsPerWeight", 2, 9);
        if (quantization.Find("weights") is not null && quantization.Find("bitsPerWeight") is { } second)
            context.Error(second.Range, DiagnosticCodes.ConflictingProperties, "Both 'weights' and 'bitsPerWeight' say how many bits weights have; keep one.");
        double least = 2 + (32.0 / (block ?? settings.Block));
        if (bits < least && (quantization.Find("block") is null) == (block is null))
        {
            context.ErrorAt(
                quantization.PointerTo("bitsPerWeight"),
                DiagnosticCodes.BitsBelowFormat,
                string.Format(CultureInfo.InvariantCulture, "{0} bits per weight cannot be kept: 2 bits and a scale of 32 bits for every {1} weights take {2}. Ask for more bits, or for a greater 'block'.", bits, block ?? settings.Block, least));
        }

        return new QuantizationSettings
        {
            Weights = Format(quantization.OneOf("weights", WeightFormats)) ?? settings.Weights,
            BitsPerWeight = bits,
            Block = block ?? settings.Block,
            Embeddings = Format(quantization.OneOf("embeddings", EmbeddingFormats)) ?? settings.Embeddings,
            KeyValueCache = Cache(quantization.OneOf("keyValueCache", CacheFormats)) ?? settings.KeyValueCache,
            Quality = quantization.OneOf("quality", Qualities) switch
            {
                "balanced" => QuantizationQuality.Balanced,
                "best" => QuantizationQuality.Best,
                "fast" => QuantizationQuality.Fast,
                _ => settings.Quality,
            },
            Calibration = quantization.Path("calibration"),
        };
    }

    private static WeightFormat? Format(string? name) => name switch
    {
        "int4" => WeightFormat.Int4,
        "int8" => WeightFormat.Int8,
        "int2" => WeightFormat.Int2,
        "none" => WeightFormat.None,
        _ => null,
    };

    private static CacheFormat? Cache(string? name) => name switch
    {
        "int8" => CacheFormat.Int8,
        "int4" => CacheFormat.Int4,
        "none" => CacheFormat.None,
        _ => null,
    };

    private EquatableArray<AdapterSettings> BindAdapters()
    {
        var adapters = new List<AdapterSettings>();
        var names = new NameTable(context, "adapter");
        foreach (JsonProperty property in Map("adapters", "adapters by name"))
        {
            // An adapter with a wrong name is read all the same, so that its other mistakes and its use as default are judged.
            string identifier = names.AddName(property.Name, property.NameRange) ?? "";
            string pointer = "adapters/" + property.Name;
            if (ObjectReader.Open(context, property.Value, pointer, $"the adapter {JsonReader.Quote(property.Name)}", PropertyNames.Adapter) is { } reader)
                adapters.Add(BindAdapter(reader, property.Name, identifier));
            else
                adapters.Add(new AdapterSettings { Name = property.Name, Identifier = identifier });
        }

        return new(adapters);
    }

    private AdapterSettings BindAdapter(ObjectReader reader, string name, string identifier)
    {
        var settings = new AdapterSettings();
        int rank = reader.Integer("rank", 1, 1024, "") ?? settings.Rank;
        return new AdapterSettings
        {
            Name = name,
            Identifier = identifier,
            Train = BindTrain(reader),
            Import = reader.Path("import"),
            Rank = rank,
            Alpha = reader.Number("alpha", 0, 65536, minExcluded: true) ?? 2 * rank,
            Dropout = reader.Number("dropout", 0, 1, maxExcluded: true) ?? settings.Dropout,
            Targets = BindLinears(reader),
            Masked = reader.Flag("masked", settings.Masked),
            Sft = BindSft(reader),
            Budget = BindBudgetForcing(reader),
            Verifier = BindVerifier(reader),
        };
    }

    /// <summary>An adapter is trained or imported; what an import's files say is not said again.</summary>
    private string BindTrain(ObjectReader adapter)
    {
        if (adapter.Find("import") is null) return adapter.RequiredPath("train", "the JSONL file with its training examples; or import a trained adapter with \"import\".") ?? "";
        foreach (string name in (string[])["train", "rank", "alpha", "dropout", "targets", "masked", "sft"])
        {
            if (adapter.Find(name) is { } second)
                context.Error(second.Range, DiagnosticCodes.ConflictingProperties, $"'import' takes a trained adapter, so '{name}' has no meaning; remove one of the two.");
        }

        return "";
    }

    private EquatableArray<string> BindLinears(ObjectReader adapter)
    {
        if (adapter.Items("targets", "names of linear layers") is not { } items) return AdapterSettings.AllTargets;
        string[] all = [.. AdapterSettings.AllTargets];
        var chosen = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonValue item in items)
        {
            if (adapter.OneOf(item, "targets", all) is { } linear && !chosen.Add(linear))
                context.Error(item.Range, DiagnosticCodes.InvalidValue, $"'{linear}' is given twice in 'targets'; remove one.");
        }

        if (items.Count == 0)
            context.Error(adapter.Find("targets")!.Range, DiagnosticCodes.InvalidValue, "'targets' is empty, so nothing would be trained; name linear layers, or remove it to train all.");
        return new(all.Where(chosen.Contains));
    }

    private SftSettings BindSft(ObjectReader adapter)
    {
        var settings = new SftSettings();
        if (Open(adapter, "sft", "'sft'", PropertyNames.Sft) is not { } sft) return settings;
        int? steps = sft.Integer("steps", 1, MaxSteps, "");
        double? epochs = sft.Number("epochs", 0, 100_000, minExcluded: true);
        if (sft.Find("steps") is not null && sft.Find("epochs") is { } second)
            context.Error(second.Range, DiagnosticCodes.ConflictingProperties, "Both 'steps' and 'epochs' say how long to train; keep one.");
        return new SftSettings
        {
            Steps = steps,
            Epochs = steps is null ? epochs ?? settings.Epochs : null,
            BatchSize = sft.Integer("batchSize", 1, 65536, "examples") ?? settings.BatchSize,
            LearningRate = sft.Number("learningRate", 0, 1, minExcluded: true) ?? settings.LearningRate,
            Warmup = sft.Number("warmup", 0, 1) ?? settings.Warmup,
            WeightDecay = sft.Number("weightDecay", 0, 1) ?? settings.WeightDecay,
            MaxGradNorm = sft.Number("maxGradNorm", 0, 1_000_000, minExcluded: true) ?? settings.MaxGradNorm,
            CheckpointEverySteps = sft.Integer("checkpointEverySteps", 1, MaxSteps, "steps") ?? settings.CheckpointEverySteps,
        };
    }

    private BudgetForcingSettings? BindBudgetForcing(ObjectReader adapter)
    {
        if (Open(adapter, "budget", "'budget'", PropertyNames.BudgetForcing) is not { } budget) return null;
        var settings = new BudgetForcingSettings();
        int? maxTokens = budget.Integer("maxTokens", 1, MaxTokens, "tokens");
        EquatableArray<int> budgets = budget.Integers("budgets", 1, MaxTokens, "tokens");
        if (budget.Require("budgets", "the tokens that questions may state, such as [64, 128, 256].") is { Kind: JsonKind.Array, Items.Count: 0 } empty)
            context.Error(empty.Range, DiagnosticCodes.InvalidValue, "'budgets' is empty, so there is nothing to learn; give budgets in tokens, such as [64, 128, 256].");
        int longest = maxTokens ?? (budget.Find("maxTokens") is null ? settings.MaxTokens : MaxTokens);
        if (budgets.Count > 0 && budgets.Max() > longest)
        {
            context.ErrorAt(
                budget.PointerTo("budgets"),
                DiagnosticCodes.InvalidValue,
                string.Format(CultureInfo.InvariantCulture, "The budget of {0} tokens is longer than the {1} tokens that a completion may have, so it would shorten nothing; lower it, or raise 'maxTokens'.", budgets.Max(), longest));
        }

        return new BudgetForcingSettings
        {
            Data = budget.Path("data"),
            Steps = budget.Integer("steps", 1, MaxSteps, "") ?? settings.Steps,
            Prompts = budget.Integer("prompts", 1, 65536, "questions") ?? settings.Prompts,
            Samples = budget.Integer("samples", 2, 1024, "") ?? settings.Samples,
            Temperature = Temperature(budget, "temperature") ?? settings.Temperature,
            LearningRate = budget.Number("learningRate", 0, 1, minExcluded: true) ?? settings.LearningRate,
            Warmup = budget.Number("warmup", 0, 1) ?? settings.Warmup,
            MaxGradNorm = budget.Number("maxGradNorm", 0, 1_000_000, minExcluded: true) ?? settings.MaxGradNorm,
            WeightDecay = budget.Number("weightDecay", 0, 1) ?? settings.WeightDecay,
            Budgets = budgets,
            StatedShare = budget.Number("statedShare", 0, 1) ?? settings.StatedShare,
            Margin = budget.Number("margin", 0, 1) ?? settings.Margin,
            Floor = budget.Number("floor", 0, 1, maxExcluded: true) ?? settings.Floor,
            Length = budget.OneOf("length", CountedLengths) == "think" ? CountedLength.Think : settings.Length,
            Kl = budget.Number("kl", 0, 1000) ?? settings.Kl,
            KlReference = budget.OneOf("klReference", KlReferences) == "base" ? KlReference.Base : settings.KlReference,
            Clip = budget.Number("clip", 0, 1, minExcluded: true) ?? settings.Clip,
            ClipHigh = budget.NumberOrNull("clipHigh", 0, 10, minExcluded: true),
            Advantage = budget.OneOf("advantage", AdvantageScales) == "batch" ? AdvantageScale.Batch : settings.Advantage,
            Resample = budget.Flag("resample", settings.Resample),
            Tighten = budget.Number("tighten", 0, 1, minExcluded: true) ?? settings.Tighten,
            Truncated = budget.OneOf("truncated", Truncations) == "mask" ? TruncatedCompletions.Mask : settings.Truncated,
            MaxTokens = maxTokens ?? settings.MaxTokens,
            CheckpointEverySteps = budget.Integer("checkpointEverySteps", 1, MaxSteps, "steps") ?? settings.CheckpointEverySteps,
        };
    }

    private VerifierSettings? BindVerifier(ObjectReader adapter)
    {
        if (Open(adapter, "verifier", "'verifier'", PropertyNames.Verifier) is not { } verifier) return null;
        var settings = new VerifierSettings();
        return new VerifierSettings
        {
            Data = verifier.Path("data"),
            Questions = verifier.Integer("questions", 2, int.MaxValue, "") ?? settings.Questions,
            Samples = verifier.Integer("samples", 1, 1024, "") ?? settings.Samples,
            Temperature = Temperature(verifier, "temperature") ?? settings.Temperature,
            Holdout = verifier.Number("holdout", 0, 1, minExcluded: true, maxExcluded: true) ?? settings.Holdout,
            Prompt = verifier.Text("prompt") ?? settings.Prompt,
            Lora = verifier.Flag("lora", settings.Lora),
            Confidence = verifier.Flag("confidence", settings.Confidence),
            Steps = verifier.Integer("steps", 1, MaxSteps, "") ?? settings.Steps,
            BatchSize = verifier.Integer("batchSize", 1, 65536, "samples") ?? settings.BatchSize,
            LearningRate = verifier.Number("learningRate", 0, 1, minExcluded: true) ?? settings.LearningRate,
        };
    }

    private SwitcherSettings? BindSwitcher()
    {
        if (Open(root, "switcher", "'switcher'", PropertyNames.Switcher) is not { } switcher) return null;
        var settings = new SwitcherSettings();
        return new SwitcherSettings
        {
            Train = switcher.RequiredPath("train", "the JSONL file with prompts and the mode that should answer each.") ?? "",
            Hidden = switcher.Integer("hidden", 1, 4096, "units") ?? settings.Hidden,
            Dropout = switcher.Number("dropout", 0, 1, maxExcluded: true) ?? settings.Dropout,
            Noise = switcher.Number("noise", 0, 100) ?? settings.Noise,
            Chunk = switcher.Integer("chunk", 1, MaxTokens, "tokens") ?? settings.Chunk,
            Smoothing = switcher.Number("smoothing", 0, 1, minExcluded: true) ?? settings.Smoothing,
            Steps = switcher.Integer("steps", 1, MaxSteps, "") ?? settings.Steps,
            BatchSize = switcher.Integer("batchSize", 1, 65536, "prompts") ?? settings.BatchSize,
            LearningRate = switcher.Number("learningRate", 0, 1, minExcluded: true) ?? settings.LearningRate,
            WeightDecay = switcher.Number("weightDecay", 0, 1) ?? settings.WeightDecay,
            Threshold = switcher.Number("threshold", 0, 1) ?? settings.Threshold,
        };
    }

    private static double? Temperature(ObjectReader reader, string name) => reader.Number(name, 0, 10, minExcluded: true);

    private string BindDefault(EquatableArray<AdapterSettings> adapters, SwitcherSettings? switcher)
    {
        string fallback = adapters.Count == 1 ? adapters[0].Name : ModelManifest.BaseMode;
        if (root.Text("default") is not { } mode || mode == ModelManifest.BaseMode || adapters.Any(a => a.Name == mode)) return root.Text("default") ?? fallback;

        if (mode == ModelManifest.AutoMode)
        {
            if (switcher is not null || root.Find("switcher") is not null) return mode;
            context.Error(
                root.Find("default")!.Range,
                DiagnosticCodes.RequiresSetting,
                "The default \"auto\" needs a switcher, which chooses the mode of each prompt; add \"switcher\": { \"train\": \"...\" }, or name a mode.");
            return fallback;
        }

        // Where the adapters could not be read, nothing is known about their names.
        if (root.Find("adapters") is { Kind: not JsonKind.Object }) return fallback;
        string[] modes = [.. adapters.Select(a => a.Name), ModelManifest.BaseMode, .. switcher is null ? Array.Empty<string>() : [ModelManifest.AutoMode]];
        string? near = Spelling.Nearest(mode, modes);
        context.Error(
            root.Find("default")!.Range,
            DiagnosticCodes.UnknownDefaultMode,
            $"The model has no adapter {JsonReader.Quote(mode)}; " + (near is null ? $"'default' is one of {string.Join(", ", modes.Select(JsonReader.Quote))}." : $"did you mean {JsonReader.Quote(near)}?"));
        return fallback;
    }

    private EquatableArray<BudgetSettings> BindBudgets()
    {
        var budgets = new List<BudgetSettings>();
        var names = new NameTable(context, "budget");
        foreach (JsonProperty property in Map("budgets", "budgets by name"))
        {
            string? identifier = names.AddName(property.Name, property.NameRange);
            string pointer = "budgets/" + property.Name;
            context.Ranges[pointer] = property.Value.Range;
            int? tokens = null;
            int streams = 1;
            if (property.Value.Kind == JsonKind.Number)
            {
                tokens = root.IntegerOf(property.Value, property.Name, 1, MaxTokens, "tokens");
            }
            else if (property.Value.Kind != JsonKind.Object)
            {
                root.WrongType(property.Value, property.Name, "a number of tokens, or an object with 'tokens'");
            }
            else
            {
                ObjectReader budget = ObjectReader.Open(context, property.Value, pointer, $"the budget {JsonReader.Quote(property.Name)}", PropertyNames.Budget)!;
                tokens = budget.Require("tokens", "the most tokens to generate.") is null ? null : budget.Integer("tokens", 1, MaxTokens, "tokens");
                streams = budget.Integer("streams", 1, BudgetSettings.MaxStreams, "") ?? streams;
            }

            if (tokens is not null) budgets.Add(new BudgetSettings { Name = property.Name, Identifier = identifier ?? "", Tokens = tokens.Value, Streams = streams });
        }

        return new(budgets);
    }

    private AnswerSettings BindAnswer()
    {
        JsonValue? value = root.Find("answer");
        if (value is null) return new AnswerSettings();
        if (value.Kind is not (JsonKind.String or JsonKind.Object))
        {
            root.WrongType(value, "answer", "one of \"text\", \"integer\", \"number\", or an object with 'type' and 'choices'");
            return new AnswerSettings();
        }

        if (value.Kind == JsonKind.String)
        {
            string? name = root.OneOf("answer", AnswerTypes);
            if (name == "choice")
                context.Error(value.Range, DiagnosticCodes.MissingProperty, "A choice needs its choices: write { \"type\": \"choice\", \"choices\": [\"yes\", \"no\"] }.");
            return new AnswerSettings { Type = Type(name) };
        }

        ObjectReader answer = ObjectReader.Open(context, value, "answer", "'answer'", PropertyNames.Answer)!;
        string? type = answer.Require("type", "one of \"text\", \"integer\", \"number\", \"choice\".") is null ? null : answer.OneOf("type", AnswerTypes);
        if (type is null) return new AnswerSettings();
        double? tolerance = answer.Number("tolerance", 0, 1);
        if (type != "number" && answer.Find("tolerance") is { } useless)
            context.Error(useless.Range, DiagnosticCodes.ConflictingProperties, $"An answer of type '{type}' is compared exactly, without a tolerance; remove it, or use the type 'number'.");
        if (type == "choice") return new AnswerSettings { Type = AnswerType.Choice, Choices = BindChoices(answer) };
        if (answer.Find("choices") is { } choices)
            context.Error(choices.Range, DiagnosticCodes.ConflictingProperties, $"An answer of type '{type}' has no choices; remove them, or use the type 'choice'.");
        var settings = new AnswerSettings { Type = Type(type) };
        return settings with { Tolerance = tolerance ?? settings.Tolerance };
    }

    private static AnswerType Type(string? name) => name switch
    {
        "integer" => AnswerType.Integer,
        "number" => AnswerType.Number,
        "choice" => AnswerType.Choice,
        _ => AnswerType.Text,
    };

    private EquatableArray<ChoiceSettings> BindChoices(ObjectReader answer)
    {
        if (answer.Require("choices", "at least two texts.") is null || answer.Items("choices", "texts") is not { } items) return default;
        if (items.Count is < 2 or > 1000)
            context.Error(answer.Find("choices")!.Range, DiagnosticCodes.OutOfRange, $"'choices' must have between 2 and 1000 texts, but has {items.Count.ToString(CultureInfo.InvariantCulture)}.");
        var choices = new List<ChoiceSettings>();
        var names = new NameTable(context, "choice");
        foreach (JsonValue item in items)
        {
            if (item.Kind != JsonKind.String)
                answer.WrongType(item, "choices", "texts in double quotes");
            else if (item.Text.Trim().Length == 0 || item.Text.Trim() != item.Text)
                context.Error(item.Range, DiagnosticCodes.InvalidValue, $"The choice {JsonReader.Quote(item.Text)} must not be empty, nor begin or end with white space.");
            else if (names.AddText(item.Text, item.Range) is { } identifier)
                choices.Add(new ChoiceSettings { Text = item.Text, Identifier = identifier });
        }

        return new(choices);
    }

    private GraderSettings? BindGrader()
    {
        if (Open(root, "grader", "'grader'", PropertyNames.Grader) is not { } grader) return null;
        var command = new List<string>();
        if (grader.Require("command", "the program and its arguments, such as [\"python3\", \"grade.py\"].") is { } value && grader.ShortList("command", "texts") is { } items)
        {
            foreach (JsonValue item in items)
            {
                if (item.Kind != JsonKind.String)
                    grader.WrongType(item, "command", "texts in double quotes");
                else if (item.Text.Contains('\0') || (command.Count == 0 && item.Text.Trim().Length == 0))
                    context.Error(item.Range, DiagnosticCodes.InvalidValue, $"{JsonReader.Quote(item.Text)} can be neither a program nor an argument.");
                else
                    command.Add(item.Text);
            }

            if (items.Count == 0)
                context.Error(value.Range, DiagnosticCodes.InvalidValue, "'command' is empty; give the program and its arguments, such as [\"python3\", \"grade.py\"].");
        }

        return new GraderSettings
        {
            Command = new(command),
            TimeoutSeconds = grader.Integer("timeoutSeconds", 1, 86_400, "seconds") ?? new GraderSettings().TimeoutSeconds,
        };
    }

    private EvaluationSettings? BindEvaluation()
    {
        if (Open(root, "evaluation", "'evaluation'", PropertyNames.Evaluation) is not { } evaluation) return null;
        var settings = new EvaluationSettings();
        return new EvaluationSettings
        {
            Data = evaluation.RequiredPath("data", "the JSONL file with unseen questions and answers.") ?? "",
            MaxExamples = evaluation.IntegerOrNull("maxExamples", 1, int.MaxValue, "examples"),
            MaxTokens = evaluation.Integer("maxTokens", 1, MaxTokens, "tokens") ?? settings.MaxTokens,
            Budget = evaluation.IntegerOrNull("budget", 1, MaxTokens, "tokens"),
            Temperature = Temperature(evaluation, "temperature") ?? settings.Temperature,
            Seeds = evaluation.Integer("seeds", 1, 100, "") ?? settings.Seeds,
            HardBudgets = evaluation.Integers("hardBudgets", 1, MaxTokens, "tokens"),
            Streams = evaluation.Integers("streams", 1, BudgetSettings.MaxStreams, ""),
            StreamData = evaluation.Path("streamData"),
            StreamTemperature = Temperature(evaluation, "streamTemperature") ?? settings.StreamTemperature,
            SwitcherData = evaluation.Path("switcherData"),
            Gates = BindGates(evaluation),
        };
    }

    private GateSettings BindGates(ObjectReader evaluation)
    {
        if (Open(evaluation, "gates", "'gates'", PropertyNames.Gates) is not { } gates) return new GateSettings();
        return new GateSettings
        {
            MinAccuracy = gates.NumberOrNull("minAccuracy", 0, 1),
            MaxMeanTokens = gates.NumberOrNull("maxMeanTokens", 0, MaxTokens, minExcluded: true),
            MinLengthReduction = gates.NumberOrNull("minLengthReduction", 0, MaxTokens, minExcluded: true),
            MinWithinBudget = gates.NumberOrNull("minWithinBudget", 0, 1),
            MinSwitcherAuc = gates.NumberOrNull("minSwitcherAuc", 0, 1),
            MinVerifierAuc = gates.NumberOrNull("minVerifierAuc", 0, 1),
        };
    }

    private EquatableArray<TargetSettings> BindTargets()
    {
        if (root.Items("targets", "targets") is not { } items) return default;
        var targets = new List<TargetSettings>();
        for (int i = 0; i < items.Count; i++)
        {
            string pointer = "targets/" + i.ToString(CultureInfo.InvariantCulture);
            if (ObjectReader.Open(context, items[i], pointer, "the target", PropertyNames.Target) is not { } target) continue;
            string? rid = target.RequiredText("rid", "the .NET runtime identifier, such as \"linux-x64\".");
            if (rid is not null && !rid.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.' or '_'))
                context.Error(target.Find("rid")!.Range, DiagnosticCodes.InvalidValue, $"{JsonReader.Quote(rid)} is no runtime identifier; write one such as \"linux-x64\", in small letters.");
            else if (rid is not null && targets.Any(t => t.Rid == rid))
                context.Error(target.Find("rid")!.Range, DiagnosticCodes.NameCollision, $"The target {JsonReader.Quote(rid)} is given twice; remove one.");
            targets.Add(new TargetSettings
            {
                Rid = rid ?? "",
                MemoryMB = target.IntegerOrNull("memoryMB", 1, int.MaxValue, "MB"),
                DiskMB = target.IntegerOrNull("diskMB", 1, int.MaxValue, "MB"),
            });
        }

        return new(targets);
    }

    private ObjectReader? Open(ObjectReader parent, string name, string what, string[] known) =>
        parent.Find(name) is { } value ? ObjectReader.Open(context, value, parent.PointerTo(name), what, known) : null;

    /// <summary>The properties of an object whose names are free.</summary>
    private IReadOnlyList<JsonProperty> Map(string name, string ofWhat)
    {
        if (root.Find(name) is not { } value) return [];
        if (value.Kind == JsonKind.Object) return value.Properties;
        root.WrongType(value, name, $"an object {{ … }} of {ofWhat}");
        return [];
    }
}
