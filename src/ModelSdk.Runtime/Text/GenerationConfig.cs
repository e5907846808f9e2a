using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>What a Hugging Face generation_config.json says about ending and sampling.</summary>
/// <param name="EosTokens">Ids that end the generation; empty where none are given.</param>
/// <param name="Samples">Whether the base's authors sample instead of taking the likeliest token; false where not given.</param>
/// <param name="Temperature">Sampling temperature; 1 where not given.</param>
/// <param name="TopP">Nucleus of sampling; 1 where not given.</param>
/// <param name="TopK">Number of likeliest tokens that sampling keeps; 50 where not given, 0 = all.</param>
public sealed record GenerationConfig(IReadOnlyList<int> EosTokens, bool Samples, double Temperature, double TopP, int TopK)
{
    /// <summary>Reads a generation_config.json, or the same keys of a config.json.</summary>
    /// <exception cref="ModelFormatException">The file is missing or malformed, or a value is out of range.</exception>
    public static GenerationConfig Load(string path)
    {
        using JsonDocument document = JsonFile.Open(path);
        var keys = new JsonKeys(document.RootElement, path);
        return new GenerationConfig(
            Ids(keys, "eos_token_id"),
            keys.Boolean("do_sample", false),
            keys.PositiveDouble("temperature", 1),
            keys.PositiveDouble("top_p", 1),
            keys.Int32("top_k", 0, int.MaxValue, 50));
    }

    /// <summary>Reads generation_config.json of a model's folder, or config.json where the folder has none.</summary>
    /// <exception cref="ModelFormatException">Neither file is there, or one is malformed.</exception>
    public static GenerationConfig FromFolder(string folder)
    {
        string path = Path.Combine(folder, "generation_config.json");
        return Load(File.Exists(path) ? path : Path.Combine(folder, "config.json"));
    }

    private static int[] Ids(JsonKeys keys, string key) => keys.Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Number } one => [Id(one, keys, key)],
        { ValueKind: JsonValueKind.Array } many => [.. many.EnumerateArray().Select(id => Id(id, keys, key))],
        { } other => throw keys.WrongType(key, "a token id or an array of them", other),
    };

    private static int Id(JsonElement value, JsonKeys keys, string key) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0
            ? id
            : throw keys.Error(key, DiagnosticCodes.ModelJsonInvalid, $"holds {value.GetRawText()}; token ids are whole numbers from 0.");
}
