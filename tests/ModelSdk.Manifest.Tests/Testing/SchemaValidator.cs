using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace ModelSdk.Manifest.Tests.Testing;

/// <summary>JSON schema (draft 7), as far as the published schema uses it; a keyword it does not know throws.</summary>
internal static class SchemaValidator
{
    private static readonly string[] Annotations = ["$schema", "$id", "title", "description", "default", "allowComments", "allowTrailingCommas"];

    public static bool IsValid(JsonNode? value, JsonNode schema) =>
        schema.AsObject().All(keyword => Annotations.Contains(keyword.Key) || Holds(keyword.Key, keyword.Value!, value, schema.AsObject()));

    private static bool Holds(string keyword, JsonNode rule, JsonNode? value, JsonObject schema) => keyword switch
    {
        "type" => rule is JsonArray types ? types.Any(t => IsType((string)t!, value)) : IsType((string)rule!, value),
        "enum" => rule.AsArray().Any(allowed => JsonNode.DeepEquals(allowed, value)),
        "const" => JsonNode.DeepEquals(rule, value),
        "minimum" => Number(value) is not { } number || number >= (double)rule,
        "maximum" => Number(value) is not { } number || number <= (double)rule,
        "exclusiveMinimum" => Number(value) is not { } number || number > (double)rule,
        "exclusiveMaximum" => Number(value) is not { } number || number < (double)rule,
        "minLength" => Text(value) is not { } text || text.EnumerateRunes().Count() >= (int)rule,
        "pattern" => Text(value) is not { } text || Regex.IsMatch(text, (string)rule!, RegexOptions.ECMAScript),
        "minItems" => value is not JsonArray items || items.Count >= (int)rule,
        "maxItems" => value is not JsonArray items || items.Count <= (int)rule,
        "uniqueItems" => value is not JsonArray items || items.Select((item, i) => items.Take(i).All(other => !JsonNode.DeepEquals(item, other))).All(unique => unique),
        "items" => value is not JsonArray items || items.All(item => IsValid(item, rule)),
        "required" => value is not JsonObject o || rule.AsArray().All(name => o.ContainsKey((string)name!)),
        "properties" => value is not JsonObject o || rule.AsObject().All(p => !o.TryGetPropertyValue(p.Key, out JsonNode? found) || IsValid(found, p.Value!)),
        "additionalProperties" => value is not JsonObject o || o.Where(p => schema["properties"]?[p.Key] is null).All(p => rule is JsonObject ? IsValid(p.Value, rule) : (bool)rule),
        "oneOf" => rule.AsArray().Count(option => IsValid(value, option!)) == 1,
        "allOf" => rule.AsArray().All(part => IsValid(value, part!)),
        "not" => !IsValid(value, rule),
        "if" => schema[IsValid(value, rule) ? "then" : "else"] is not { } consequence || IsValid(value, consequence),
        "then" or "else" => true,
        _ => throw new NotSupportedException($"The schema uses '{keyword}', which this validator does not know."),
    };

    private static bool IsType(string type, JsonNode? value) => (type, value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        ("null", JsonValueKind.Null) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("string", JsonValueKind.String) => true,
        ("array", JsonValueKind.Array) => true,
        ("object", JsonValueKind.Object) => true,
        ("number", JsonValueKind.Number) => true,
        ("integer", JsonValueKind.Number) => Number(value) is { } number && Math.Floor(number) == number,
        _ => false,
    };

    private static double? Number(JsonNode? value) => value?.GetValueKind() == JsonValueKind.Number ? double.Parse(value.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture) : null;

    private static string? Text(JsonNode? value) => value?.GetValueKind() == JsonValueKind.String ? (string)value! : null;
}
