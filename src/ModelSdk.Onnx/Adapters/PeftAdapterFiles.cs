using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Adapters;

/// <summary>Reads and writes adapters as Hugging Face PEFT does: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftAdapterFiles
{
    private const string ConfigName = "adapter_config.json";
    private const string WeightsName = "adapter_model.safetensors";
    private const string Prefix = "base_model.model.";
    private const string SuffixA = ".lora_A.weight";
    private const string SuffixB = ".lora_B.weight";

    /// <summary>Settings that change what an adapter computes and that are not supported, with the values that mean "off".</summary>
    private static readonly string[] MustBeOff =
    [
        "use_dora", "use_rslora", "use_qalora", "fan_in_fan_out", "lora_bias", "modules_to_save", "rank_pattern",
        "alpha_pattern", "target_parameters", "trainable_token_indices", "layer_replication", "arrow_config",
    ];

    public static void Save(LoraAdapter adapter, string folder)
    {
        Directory.CreateDirectory(folder);
        using (FileStream stream = File.Create(Path.Combine(folder, ConfigName)))
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
            WriteConfig(json, adapter);

        IEnumerable<LoraLinear> linears = adapter.Linears.Values.OrderBy(l => l.Name, StringComparer.Ordinal);
        SafetensorsWriter.Write(Path.Combine(folder, WeightsName), linears.SelectMany(l => (TensorData[])
        [
            new(Prefix + l.Name + SuffixA, TensorDType.F32, [adapter.Rank, l.InFeatures], l.A),
            new(Prefix + l.Name + SuffixB, TensorDType.F32, [l.OutFeatures, adapter.Rank], l.B),
        ]));
    }

    public static LoraAdapter Load(string folder)
    {
        string configPath = Path.Combine(folder, ConfigName);
        using JsonDocument document = Open(configPath);
        JsonElement config = document.RootElement;
        CheckFeatures(config, configPath);

        int rank = Number(config, "r", configPath).TryGetInt32(out int r) && r > 0 ? r : throw Invalid(configPath, "\"r\" must be a positive whole number.");
        double alpha = Number(config, "lora_alpha", configPath).GetDouble();
        return new LoraAdapter
        {
            Rank = rank,
            Alpha = alpha,
            Dropout = config.TryGetProperty("lora_dropout", out JsonElement dropout) && dropout.ValueKind == JsonValueKind.Number ? dropout.GetDouble() : 0,
            BaseModel = config.TryGetProperty("base_model_name_or_path", out JsonElement name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null,
            InvocationTokens = config.TryGetProperty("alora_invocation_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array
                ? [.. tokens.EnumerateArray().Select(t => t.TryGetInt32(out int id) ? id : throw Invalid(configPath, "\"alora_invocation_tokens\" must hold token ids."))]
                : [],
            Linears = ReadLinears(Path.Combine(folder, WeightsName), rank),
        };
    }

    private static void WriteConfig(Utf8JsonWriter json, LoraAdapter adapter)
    {
        json.WriteStartObject();
        if (adapter.InvocationTokens.Count == 0)
        {
            json.WriteNull("alora_invocation_tokens");
        }
        else
        {
            json.WriteStartArray("alora_invocation_tokens");
            foreach (int token in adapter.InvocationTokens)
                json.WriteNumberValue(token);
            json.WriteEndArray();
        }

        json.WriteString("base_model_name_or_path", adapter.BaseModel);
        json.WriteString("bias", "none");
        json.WriteBoolean("fan_in_fan_out", false);
        json.WriteBoolean("inference_mode", true);
        json.WriteNumber("lora_alpha", adapter.Alpha);
        json.WriteNumber("lora_dropout", adapter.Dropout);
        json.WriteString("peft_type", "LORA");
        json.WriteNumber("r", adapter.Rank);
        json.WriteStartArray("target_modules");
        foreach (string target in adapter.Targets)
            json.WriteStringValue(target);
        json.WriteEndArray();
        json.WriteString("task_type", "CAUSAL_LM");
        json.WriteBoolean("use_dora", false);
        json.WriteBoolean("use_rslora", false);
        json.WriteEndObject();
    }

    private static JsonDocument Open(string path)
    {
        try
        {
            JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
            throw Invalid(path, "it holds no JSON object.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ExportException(DiagnosticCodes.AdapterInvalid, $"The adapter's {path} cannot be read: {e.Message}", e);
        }
    }

    private static void CheckFeatures(JsonElement config, string path)
    {
        if (!config.TryGetProperty("peft_type", out JsonElement type) || type.ValueKind != JsonValueKind.String || type.GetString() != "LORA")
            throw Unsupported(path, "peft_type", type);
        if (config.TryGetProperty("bias", out JsonElement bias) && bias.ValueKind == JsonValueKind.String && bias.GetString() != "none")
            throw Unsupported(path, "bias", bias);
        foreach (string key in MustBeOff)
        {
            if (config.TryGetProperty(key, out JsonElement value) && !IsOff(value))
                throw Unsupported(path, key, value);
        }
    }

    private static bool IsOff(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };

    private static Dictionary<string, LoraLinear> ReadLinears(string path, int rank)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        var linears = new Dictionary<string, LoraLinear>(StringComparer.Ordinal);
        foreach (TensorInfo tensor in file.Tensors.Values.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            if (tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) && tensor.Name.EndsWith(SuffixB, StringComparison.Ordinal)
                && file.Tensors.ContainsKey(tensor.Name[..^SuffixB.Length] + SuffixA))
                continue;
            if (!tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) || !tensor.Name.EndsWith(SuffixA, StringComparison.Ordinal))
                throw Invalid(path, $"tensor {tensor.Name} is no lora_A or lora_B weight of a linear that has both.");

            string name = tensor.Name[Prefix.Length..^SuffixA.Length];
            string nameB = Prefix + name + SuffixB;
            if (!file.Tensors.TryGetValue(nameB, out TensorInfo? b))
                throw Invalid(path, $"{name} has lora_A but no lora_B.");
            if (tensor.Shape.Length != 2 || b.Shape.Length != 2 || tensor.Shape[0] != rank || b.Shape[1] != rank)
                throw Invalid(path, $"{name} has lora_A [{string.Join(", ", tensor.Shape)}] and lora_B [{string.Join(", ", b.Shape)}], which do not fit rank {rank} of {ConfigName}.");
            linears.Add(name, new LoraLinear(name, checked((int)tensor.Shape[1]), checked((int)b.Shape[0]), file.ReadFloats(tensor.Name), file.ReadFloats(nameB)));
        }

        return linears.Count > 0 ? linears : throw Invalid(path, "it holds no LoRA weights.");
    }

    private static JsonElement Number(JsonElement config, string key, string path)
        => config.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value : throw Invalid(path, $"\"{key}\" must be a number.");

    private static ExportException Invalid(string path, string what)
        => new(DiagnosticCodes.AdapterInvalid, $"The adapter's {path} is invalid: {what}");

    private static ExportException Unsupported(string path, string key, JsonElement value)
        => new(DiagnosticCodes.AdapterFeatureUnsupported, $"The adapter's {path} asks for {key} = {(value.ValueKind == JsonValueKind.Undefined ? "nothing" : value.GetRawText())}, which is not supported. Supported are plain LoRA adapters of linears without biases.");
}
