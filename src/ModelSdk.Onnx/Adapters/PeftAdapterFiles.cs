using System.Text.Json;
using System.Text.RegularExpressions;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Adapters;

/// <summary>Reads and writes adapters as Hugging Face PEFT does: adapter_config.json and adapter_model.safetensors.</summary>
internal static class PeftAdapterFiles
{
    /// <summary>Name of the file of weights.</summary>
    public const string WeightsName = "adapter_model.safetensors";

    /// <summary>Key of the weights' metadata for the digest of the base.</summary>
    private const string BaseDigestKey = "modelsdk.base";

    private const string PickleName = "adapter_model.bin";
    private const string Prefix = "base_model.model.";
    private const string SuffixA = ".lora_A.weight";
    private const string SuffixB = ".lora_B.weight";

    public static void Save(LoraAdapter adapter, string folder)
    {
        Directory.CreateDirectory(folder);
        using (FileStream stream = File.Create(Path.Combine(folder, PeftConfig.FileName)))
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
            WriteConfig(json, adapter);

        var metadata = new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" };
        if (adapter.BaseDigest is not null)
            metadata[BaseDigestKey] = adapter.BaseDigest;
        IEnumerable<LoraLinear> linears = adapter.Linears.Values.OrderBy(l => l.Name, StringComparer.Ordinal);
        SafetensorsWriter.Write(Path.Combine(folder, WeightsName), linears.SelectMany(l => (TensorData[])
        [
            new(Prefix + l.Name + SuffixA, TensorDType.F32, [adapter.Rank, l.InFeatures], l.A),
            new(Prefix + l.Name + SuffixB, TensorDType.F32, [l.OutFeatures, adapter.Rank], l.B),
        ]), metadata);
    }

    public static LoraAdapter Load(string folder)
    {
        PeftConfig config = PeftConfig.Read(Path.Combine(folder, PeftConfig.FileName));
        string path = Path.Combine(folder, WeightsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, PickleName)))
        {
            throw new ExportException(
                DiagnosticCodes.AdapterFeatureUnsupported,
                $"The adapter's weights are in {Path.Combine(folder, PickleName)}, a pickle, which can run any code when it is read. Load it in PEFT and save it with save_pretrained(..., safe_serialization=True), which writes {WeightsName}.");
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            return Read(file, config);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw Invalid(Path.Combine(folder, PeftConfig.FileName), $"the pattern {e.Pattern} takes too long on {e.Input}.");
        }
    }

    private static LoraAdapter Read(SafetensorsFile file, PeftConfig config)
    {
        List<LoraLinear> linears = [.. ReadLinears(file, config)];
        if (linears.Count == 0)
            throw Invalid(file.Path, "it holds no LoRA weights.");

        // One rank and one scale serve all linears: smaller ranks are filled up with zeros, other scales go into B. Both are exact in what they compute.
        int rank = linears.Max(l => config.RankOf(l.Name));
        double scale = linears.Select(l => config.ScaleOf(l.Name)).GroupBy(s => s).MaxBy(g => g.Count())!.Key;
        return new LoraAdapter
        {
            Rank = rank,
            Alpha = rank == config.Rank && scale == config.Alpha / config.Rank ? config.Alpha : scale * rank,
            Dropout = config.Dropout,
            BaseModel = config.BaseModel,
            BaseDigest = file.Metadata.GetValueOrDefault(BaseDigestKey),
            InvocationTokens = config.InvocationTokens,
            Linears = linears.ToDictionary(l => l.Name, l => Uniform(l, config.RankOf(l.Name), rank, config.ScaleOf(l.Name) / scale), StringComparer.Ordinal),
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
        foreach (string target in WrittenTargets(adapter))
            json.WriteStringValue(target);
        json.WriteEndArray();
        json.WriteString("task_type", "CAUSAL_LM");
        json.WriteBoolean("use_dora", false);
        json.WriteBoolean("use_rslora", false);
        json.WriteEndObject();
    }

    /// <summary>Short names where each stands for all modules that end so; otherwise the whole names, so that PEFT makes no matrices beside those of the file.</summary>
    private static IEnumerable<string> WrittenTargets(LoraAdapter adapter)
    {
        bool regular = adapter.Linears.Values.GroupBy(l => l.Target).Select(g => g.Count()).Distinct().Count() == 1;
        return regular ? adapter.Targets : adapter.Linears.Keys.Order(StringComparer.Ordinal);
    }

    private static IEnumerable<LoraLinear> ReadLinears(SafetensorsFile file, PeftConfig config)
    {
        foreach (TensorInfo tensor in file.Tensors.Values.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            if (tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) && tensor.Name.EndsWith(SuffixB, StringComparison.Ordinal)
                && file.Tensors.ContainsKey(tensor.Name[..^SuffixB.Length] + SuffixA))
                continue;
            if (!tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) || !tensor.Name.EndsWith(SuffixA, StringComparison.Ordinal))
                throw Invalid(file.Path, $"tensor {tensor.Name} is no lora_A or lora_B weight of a linear that has both.");

            string name = tensor.Name[Prefix.Length..^SuffixA.Length];
            string nameB = Prefix + name + SuffixB;
            if (!file.Tensors.TryGetValue(nameB, out TensorInfo? b))
                throw Invalid(file.Path, $"{name} has lora_A but no lora_B.");
            int rank = config.RankOf(name);
            if (tensor.Shape.Length != 2 || b.Shape.Length != 2 || tensor.Shape[0] != rank || b.Shape[1] != rank)
                throw Invalid(file.Path, $"{name} has lora_A [{string.Join(", ", tensor.Shape)}] and lora_B [{string.Join(", ", b.Shape)}], which do not fit rank {rank} of {PeftConfig.FileName}.");
            if (!config.Targets.Contains(name))
                throw Invalid(file.Path, $"it has weights of {name}, which target_modules of {PeftConfig.FileName} does not name.");
            yield return new LoraLinear(name, checked((int)tensor.Shape[1]), checked((int)b.Shape[0]), Finite(file, tensor.Name), Finite(file, nameB));
        }
    }

    private static float[] Finite(SafetensorsFile file, string name)
    {
        float[] values = file.ReadFloats(name);
        int bad = values.AsSpan().IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
        return bad < 0 ? values : throw Invalid(file.Path, $"tensor {name} holds {values[bad]}.");
    }

    /// <summary>The same update with a greater rank and another scale.</summary>
    private static LoraLinear Uniform(LoraLinear linear, int rank, int targetRank, double factor)
    {
        if (rank == targetRank && factor == 1)
            return linear;
        var a = new float[targetRank * linear.InFeatures];
        linear.A.CopyTo(a, 0);
        var b = new float[linear.OutFeatures * targetRank];
        for (int row = 0; row < linear.OutFeatures; row++)
        {
            for (int i = 0; i < rank; i++)
                b[(row * targetRank) + i] = (float)(linear.B[(row * rank) + i] * factor);
        }

        return linear with { A = a, B = b };
    }

    private static ExportException Invalid(string path, string what)
        => new(DiagnosticCodes.AdapterInvalid, $"The adapter's {path} is invalid: {what}");
}
