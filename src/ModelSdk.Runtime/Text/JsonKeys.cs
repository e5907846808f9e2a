using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Typed reading of the keys of one JSON object. A key that is null counts as absent, as it does for Hugging Face.</summary>
internal readonly struct JsonKeys(JsonElement json, string path, string prefix = "")
{
    /// <summary>The file that the object comes from.</summary>
    public string Path => path;

    /// <summary>The value of a key, or null where it is absent or null.</summary>
    public JsonElement? Find(string key) =>
        json.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A whole number within bounds; required when <paramref name="fallback"/> is null.</summary>
    public int Int32(string key, int min, int max, int? fallback = null)
    {
        if (Find(key) is not { } value)
            return fallback ?? throw Missing(key, "a whole number");
        if (value.ValueKind != JsonValueKind.Number)
            throw WrongType(key, "a whole number", value);
        if (value.TryGetInt32(out int number) && number >= min && number <= max)
            return number;
        throw Error(key, DiagnosticCodes.ConfigContradictory, $"must be a whole number from {min} to {max}, but is {value.GetRawText()}.");
    }

    /// <summary>A finite positive number; required when <paramref name="fallback"/> is null.</summary>
    public double PositiveDouble(string key, double? fallback = null)
    {
        if (Find(key) is not { } value)
            return fallback ?? throw Missing(key, "a number");
        if (value.ValueKind != JsonValueKind.Number)
            throw WrongType(key, "a number", value);
        if (value.TryGetDouble(out double number) && double.IsFinite(number) && number > 0)
            return number;
        throw Error(key, DiagnosticCodes.ConfigContradictory, $"must be a finite number above 0, but is {value.GetRawText()}.");
    }

    /// <summary>A truth value.</summary>
    public bool Boolean(string key, bool fallback) => Find(key) switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw WrongType(key, "true or false", other),
    };

    /// <summary>A text, or null where the key is absent.</summary>
    public string? Text(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => Unescape(text, key),
        { } other => throw WrongType(key, "a string", other),
    };

    /// <summary>The elements of an array, or null where the key is absent.</summary>
    public JsonElement? Array(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } array => array,
        { } other => throw WrongType(key, "an array", other),
    };

    /// <summary>An object, or null where the key is absent.</summary>
    public JsonKeys? Object(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new JsonKeys(value, path, $"{prefix}{key}."),
        { } other => throw WrongType(key, "an object", other),
    };

    /// <summary>The properties of this object.</summary>
    public JsonElement.ObjectEnumerator Properties => json.EnumerateObject();

    /// <summary>Text of a JSON string; half surrogate pairs are refused.</summary>
    public string Unescape(JsonElement text, string key)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"Key \"{prefix}{key}\" holds text that is not valid Unicode.", path, e);
        }
    }

    /// <summary>Name of a property of this object; half surrogate pairs are refused.</summary>
    public string Name(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException e)
        {
            throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"A key of \"{prefix.TrimEnd('.')}\" is not valid Unicode.", path, e);
        }
    }

    /// <summary>An error about a key.</summary>
    public ModelFormatException Error(string key, string code, string problem) =>
        new(code, $"Key \"{prefix}{key}\" {problem}", path);

    /// <summary>The error of a missing key.</summary>
    public ModelFormatException Missing(string key, string expected) =>
        Error(key, DiagnosticCodes.ModelJsonInvalid, $"is missing; {expected} is needed.");

    /// <summary>The error of a value of the wrong type.</summary>
    public ModelFormatException WrongType(string key, string expected, JsonElement actual) =>
        Error(key, DiagnosticCodes.ModelJsonInvalid, $"must be {expected}, but is {JsonFile.Describe(actual.ValueKind)}.");
}
