using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Adapters;

/// <summary>adapter_config.json of a LoRA adapter. Every key of PEFT's LoraConfig is honoured, is without effect on a trained adapter, or is refused by its name.</summary>
internal sealed class PeftConfig
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>Keys that this class reads.</summary>
    private static readonly string[] s_read =
    [
        "peft_type", "task_type", "bias", "init_lora_weights", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "exclude_modules",
        "layers_to_transform", "layers_pattern", "lora_dropout", "base_model_name_or_path", "alora_invocation_tokens",
    ];

    /// <summary>Keys that say how an adapter was made or loaded, not what it computes.</summary>
    private static readonly string[] s_withoutEffect =
    [
        "auto_mapping", "peft_version", "revision", "inference_mode", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "megatron_core",
        "qalora_group_size", "runtime_config", "ensure_weight_tying",
    ];

    /// <summary>Ways to start a training that leave the base as it is. The others (pissa, olora, corda, loftq, lora_ga) change it, and an adapter saved beside them is relative to the changed one.</summary>
    private static readonly string[] s_plainStarts = ["gaussian", "eva", "orthogonal"];

    private readonly string _path;
    private readonly JsonElement _root;
    private readonly IReadOnlyList<KeyValuePair<string, double>> _ranks;
    private readonly IReadOnlyList<KeyValuePair<string, double>> _alphas;
    private readonly bool _stabilized;

    private PeftConfig(string path, JsonElement root)
    {
        (_path, _root) = (path, root);
        CheckFeatures();
        Rank = Whole(Find("r") ?? throw Invalid("\"r\" is missing."), "r");
        Alpha = Positive(Find("lora_alpha") ?? throw Invalid("\"lora_alpha\" is missing."), "lora_alpha");
        _stabilized = Find("use_rslora") is { } stabilized && Flag(stabilized, "use_rslora");
        _ranks = Patterns("rank_pattern");
        _alphas = Patterns("alpha_pattern");
        Dropout = Find("lora_dropout") is { } dropout ? Share(dropout, "lora_dropout") : 0;
        BaseModel = Find("base_model_name_or_path") is { } name ? Text(name, "base_model_name_or_path") : null;
        InvocationTokens = Find("alora_invocation_tokens") is { } tokens ? Integers(tokens, "alora_invocation_tokens") : [];
        try
        {
            Targets = ReadTargets();
            _ = RankOf("") + AlphaOf("");
        }
        catch (ArgumentException e)
        {
            throw Invalid($"a pattern is no regular expression: {e.Message}");
        }
    }

    /// <summary>r, where no pattern says otherwise.</summary>
    public int Rank { get; }

    /// <summary>lora_alpha, where no pattern says otherwise.</summary>
    public double Alpha { get; }

    /// <summary>lora_dropout.</summary>
    public double Dropout { get; }

    /// <summary>base_model_name_or_path.</summary>
    public string? BaseModel { get; }

    /// <summary>alora_invocation_tokens; empty where the adapter acts on every token.</summary>
    public IReadOnlyList<int> InvocationTokens { get; }

    /// <summary>target_modules and what narrows them.</summary>
    public PeftTargets Targets { get; }

    /// <summary>Reads and checks the file.</summary>
    /// <exception cref="ExportException">MDL4010 missing or contradictory, MDL4011 a feature that is not supported.</exception>
    public static PeftConfig Read(string path)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new PeftConfig(path, document.RootElement)
                : throw new JsonException("it holds no JSON object.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ExportException(DiagnosticCodes.AdapterInvalid, $"The adapter's {path} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Rank of one module.</summary>
    public int RankOf(string module) => (int)(PeftTargets.Find(_ranks, module) ?? Rank);

    /// <summary>What the product B A of one module is multiplied by: alpha / r, or alpha / sqrt(r) where the scale is rank-stabilized.</summary>
    public double ScaleOf(string module) => AlphaOf(module) / (_stabilized ? Math.Sqrt(RankOf(module)) : RankOf(module));

    private double AlphaOf(string module) => PeftTargets.Find(_alphas, module) ?? Alpha;

    private void CheckFeatures()
    {
        if (Find("peft_type") is not { ValueKind: JsonValueKind.String } type || type.GetString() != "LORA")
            throw Unsupported("peft_type", Find("peft_type"));
        if (Find("task_type") is { } task && !(task.ValueKind == JsonValueKind.String && task.GetString() == "CAUSAL_LM"))
            throw Unsupported("task_type", task);
        if (Find("bias") is { } bias && !(bias.ValueKind == JsonValueKind.String && bias.GetString() == "none"))
            throw Unsupported("bias", bias);
        if (Find("init_lora_weights") is { ValueKind: not (JsonValueKind.True or JsonValueKind.False) } start
            && !(start.ValueKind == JsonValueKind.String && s_plainStarts.Contains(start.GetString())))
            throw Unsupported("init_lora_weights", start);
        foreach (JsonProperty property in _root.EnumerateObject())
        {
            // What is not known could change results, so it is refused unless it is off.
            if (!s_read.Contains(property.Name) && !s_withoutEffect.Contains(property.Name) && !IsOff(property.Value))
                throw Unsupported(property.Name, property.Value);
        }
    }

    private PeftTargets ReadTargets()
    {
        (string? expression, string[]? names) = Names("target_modules");
        (string? excluded, string[]? excludedNames) = Names("exclude_modules");
        int[]? layers = Find("layers_to_transform") switch
        {
            null => null,
            { ValueKind: JsonValueKind.Number } one => Integers(one, "layers_to_transform"),
            { } many => Integers(many, "layers_to_transform"),
        };
        if (layers is { Length: > 0 } && names is null)
            throw Invalid("\"layers_to_transform\" needs a list in \"target_modules\".");
        (string? pattern, string[]? patterns) = Names("layers_pattern");
        return new PeftTargets(expression, names, excluded, excludedNames ?? [], layers, pattern is not null ? [pattern] : patterns ?? []);
    }

    /// <summary>A text, or a list of texts; neither where the key is absent.</summary>
    private (string? Text, string[]? List) Names(string key)
    {
        if (Find(key) is not { } value)
            return (null, null);
        if (value.ValueKind == JsonValueKind.String)
            return (value.GetString(), null);
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.String))
            throw Invalid($"\"{key}\" must be a text or a list of texts.");
        return (null, [.. value.EnumerateArray().Select(v => v.GetString()!)]);
    }

    private List<KeyValuePair<string, double>> Patterns(string key)
    {
        if (Find(key) is not { } value)
            return [];
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid($"\"{key}\" must be an object.");
        return [.. value.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, key == "rank_pattern" ? Whole(p.Value, key) : Positive(p.Value, key)))];
    }

    private int[] Integers(JsonElement value, string key)
    {
        IEnumerable<JsonElement> items = value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : [value];
        return [.. items.Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out int number) && number >= 0 ? number : throw Invalid($"\"{key}\" must hold whole numbers."))];
    }

    private int Whole(JsonElement value, string key)
        => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number > 0 ? number : throw Invalid($"\"{key}\" must be a positive whole number.");

    private double Positive(JsonElement value, string key)
        => value.ValueKind == JsonValueKind.Number && value.GetDouble() is > 0 and < double.PositiveInfinity and var number ? number : throw Invalid($"\"{key}\" must be a positive number.");

    private double Share(JsonElement value, string key)
        => value.ValueKind == JsonValueKind.Number && value.GetDouble() is >= 0 and <= 1 and var number ? number : throw Invalid($"\"{key}\" must be a number from 0 to 1.");

    private string Text(JsonElement value, string key)
        => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Invalid($"\"{key}\" must be a text.");

    private bool Flag(JsonElement value, string key) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Invalid($"\"{key}\" must be true or false."),
    };

    private JsonElement? Find(string key) => _root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static bool IsOff(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };

    private ExportException Invalid(string what) => new(DiagnosticCodes.AdapterInvalid, $"The adapter's {_path} is invalid: {what}");

    private ExportException Unsupported(string key, JsonElement? value)
        => new(DiagnosticCodes.AdapterFeatureUnsupported, $"The adapter's {_path} asks for {key} = {value?.GetRawText() ?? "nothing"}, which is not supported. Supported are LoRA adapters of linears without biases.");
}
