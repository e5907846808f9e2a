namespace ModelSdk.Manifest.Json;

/// <summary>The types of JSON, with the two truth values as one.</summary>
internal enum JsonKind
{
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// <summary>A JSON value and where it stands.</summary>
internal sealed class JsonValue(JsonKind kind, TextRange range)
{
    public JsonKind Kind { get; } = kind;

    public TextRange Range { get; } = range;

    /// <summary>The characters of a string; the digits of a number as written.</summary>
    public string Text { get; init; } = "";

    public bool Boolean { get; init; }

    /// <summary>The items of an array.</summary>
    public IReadOnlyList<JsonValue> Items { get; init; } = [];

    /// <summary>The properties of an object; no name comes twice.</summary>
    public IReadOnlyList<JsonProperty> Properties { get; init; } = [];
}

/// <summary>A property of an object and where its name stands.</summary>
internal sealed record JsonProperty(string Name, TextRange NameRange, JsonValue Value);
