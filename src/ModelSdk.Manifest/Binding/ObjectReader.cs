using System.Globalization;
using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest.Binding;

/// <summary>
/// Reads the properties of one object, each with its type and range; what is wrong is reported once and read as its
/// default.
/// </summary>
internal sealed class ObjectReader
{
    /// <summary>The most items of a list of numbers or texts: beyond what anybody means.</summary>
    private const int MaxItems = 1000;

    /// <summary>Unknown properties of one object for which a nearer name is looked for; beyond, the file is something else.</summary>
    private const int MaxSuggestions = 100;

    private readonly BindingContext context;
    private readonly JsonValue value;
    private readonly string pointer;
    private readonly string what;

    private ObjectReader(BindingContext context, JsonValue value, string pointer, string what)
    {
        this.context = context;
        this.value = value;
        this.pointer = pointer;
        this.what = what;
    }

    /// <summary>
    /// Opens an object, called <paramref name="what"/> in messages, and reports the properties that are not
    /// <paramref name="known"/>; null when the value is no object.
    /// </summary>
    public static ObjectReader? Open(BindingContext context, JsonValue value, string pointer, string what, string[] known)
    {
        context.Ranges[pointer] = value.Range;
        if (value.Kind != JsonKind.Object)
        {
            context.Error(value.Range, DiagnosticCodes.WrongType, $"{Capital(what)} must be an object {{ … }}, but is {Describe(value)}.");
            return null;
        }

        int unknown = 0;
        foreach (JsonProperty property in value.Properties)
        {
            if (known.Contains(property.Name)) continue;
            string? near = ++unknown <= MaxSuggestions ? Spelling.Nearest(property.Name, known) : null;
            context.Error(
                property.NameRange,
                DiagnosticCodes.UnknownProperty,
                near is null
                    ? $"{Capital(what)} has no property {JsonReader.Quote(property.Name)}; it has {string.Join(", ", known.Where(k => k[0] != '$'))}."
                    : $"{Capital(what)} has no property {JsonReader.Quote(property.Name)}; did you mean '{near}'?");
        }

        return new ObjectReader(context, value, pointer, what);
    }

    public TextRange Range => value.Range;

    public string PointerTo(string name) => pointer.Length == 0 ? name : pointer + "/" + name;

    /// <summary>The property's value; null where it is missing.</summary>
    public JsonValue? Find(string name)
    {
        foreach (JsonProperty property in value.Properties)
        {
            if (property.Name != name) continue;
            context.Ranges[PointerTo(name)] = property.Value.Range;
            return property.Value;
        }

        return null;
    }

    /// <summary>The property's value; where it is missing, an error at the object's start and null.</summary>
    public JsonValue? Require(string name, string hint)
    {
        JsonValue? found = Find(name);
        if (found is null)
        {
            context.Error(
                new TextRange(value.Range.Start, 1),
                DiagnosticCodes.MissingProperty,
                $"{Capital(what)} needs the property '{name}': {hint}");
        }

        return found;
    }

    /// <summary>A text that is not blank; null where it is missing or wrong.</summary>
    public string? Text(string name) => TextOf(Find(name), name);

    /// <summary>A text that must be there.</summary>
    public string? RequiredText(string name, string hint) => TextOf(Require(name, hint), name);

    /// <summary>A text, or null where the file says null.</summary>
    public string? TextOrNull(string name) => Find(name) is { Kind: not JsonKind.Null } found ? TextOf(found, name, allowBlank: true) : null;

    /// <summary>A path: a text without characters that no path has.</summary>
    public string? RequiredPath(string name, string hint)
    {
        string? path = RequiredText(name, hint);
        return path is null || IsPath(path, Find(name)!.Range) ? path : null;
    }

    /// <summary>A path that may be missing.</summary>
    public string? Path(string name) => Text(name) is { } path && IsPath(path, Find(name)!.Range) ? path : null;

    public bool IsPath(string path, TextRange range)
    {
        if (!path.Any(char.IsControl)) return true;
        context.Error(range, DiagnosticCodes.InvalidValue, "A path has no control characters; write folders with '/'.");
        return false;
    }

    public bool Flag(string name, bool fallback)
    {
        JsonValue? found = Find(name);
        if (found is null) return fallback;
        if (found.Kind == JsonKind.Boolean) return found.Boolean;
        WrongType(found, name, "true or false");
        return fallback;
    }

    /// <summary>A whole number in a range; null where it is missing or wrong.</summary>
    public int? Integer(string name, int min, int max, string unit) => Find(name) is { } found ? IntegerOf(found, name, min, max, unit) : null;

    /// <summary>As <see cref="Integer"/>, and the file may say null.</summary>
    public int? IntegerOrNull(string name, int min, int max, string unit) =>
        Find(name) is { Kind: not JsonKind.Null } found ? IntegerOf(found, name, min, max, unit) : null;

    /// <summary>A whole number in a range; null where it is wrong.</summary>
    public int? IntegerOf(JsonValue found, string name, int min, int max, string unit)
    {
        if (found.Kind != JsonKind.Number)
        {
            WrongType(found, name, "a whole number");
            return null;
        }

        double number = NumberOf(found);
        if (Math.Floor(number) != number)
        {
            context.Error(found.Range, DiagnosticCodes.WrongType, $"'{name}' must be a whole number, but is {found.Text}.");
            return null;
        }

        if (number < min || number > max)
        {
            context.Error(
                found.Range,
                DiagnosticCodes.OutOfRange,
                string.Format(CultureInfo.InvariantCulture, "'{0}' must lie between {1} and {2}{3}, but is {4}.", name, min, max, Unit(unit), Short(found.Text)));
            return null;
        }

        return (int)number;
    }

    /// <summary>As <see cref="Number"/>, and the file may say null.</summary>
    public double? NumberOrNull(string name, double min, double max, bool minExcluded = false, bool maxExcluded = false) =>
        Find(name) is { Kind: JsonKind.Null } ? null : Number(name, min, max, minExcluded, maxExcluded);

    /// <summary>Different whole numbers in a range, in the order of the file; empty where they are missing or wrong.</summary>
    public EquatableArray<int> Integers(string name, int min, int max, string unit)
    {
        var numbers = new List<int>();
        var seen = new HashSet<int>();
        foreach (JsonValue item in ShortList(name, "whole numbers") ?? [])
        {
            if (IntegerOf(item, name, min, max, unit) is not { } number) continue;
            if (seen.Add(number)) numbers.Add(number);
            else context.Error(item.Range, DiagnosticCodes.InvalidValue, $"{item.Text} is given twice in '{name}'; remove one.");
        }

        return new(numbers);
    }

    /// <summary>The items of an array of at most <see cref="MaxItems"/>; null where it is missing, no array, or longer.</summary>
    public IReadOnlyList<JsonValue>? ShortList(string name, string ofWhat)
    {
        IReadOnlyList<JsonValue>? items = Items(name, ofWhat);
        if (items is null || items.Count <= MaxItems) return items;
        context.Error(Find(name)!.Range, DiagnosticCodes.OutOfRange, string.Format(CultureInfo.InvariantCulture, "'{0}' has {1} items; at most {2} are sensible.", name, items.Count, MaxItems));
        return null;
    }

    /// <summary>A number in a range, whose ends may be excluded; null where it is missing or wrong.</summary>
    public double? Number(string name, double min, double max, bool minExcluded = false, bool maxExcluded = false)
    {
        JsonValue? found = Find(name);
        if (found is null) return null;
        if (found.Kind != JsonKind.Number)
        {
            WrongType(found, name, "a number");
            return null;
        }

        double number = NumberOf(found);
        // An explicit form of "in range", so that a number that overflows to infinity is outside.
        bool inRange = (minExcluded ? number > min : number >= min) && (maxExcluded ? number < max : number <= max);
        if (inRange) return number;
        context.Error(
            found.Range,
            DiagnosticCodes.OutOfRange,
            string.Format(
                CultureInfo.InvariantCulture,
                "'{0}' must be {1} {2} and {3} {4}, but is {5}.",
                name,
                minExcluded ? "above" : "at least",
                min,
                maxExcluded ? "below" : "at most",
                max,
                Short(found.Text)));
        return null;
    }

    /// <summary>One of some texts; null where it is missing or wrong.</summary>
    public string? OneOf(string name, string[] allowed) => Find(name) is { } found ? OneOf(found, name, allowed) : null;

    public string? OneOf(JsonValue found, string name, string[] allowed)
    {
        if (found.Kind != JsonKind.String)
        {
            WrongType(found, name, "one of " + string.Join(", ", allowed.Select(a => $"\"{a}\"")));
            return null;
        }

        if (allowed.Contains(found.Text)) return found.Text;
        string? near = Spelling.Nearest(found.Text, allowed);
        context.Error(
            found.Range,
            DiagnosticCodes.InvalidValue,
            $"'{name}' cannot be {JsonReader.Quote(found.Text)}; " + (near is null
                ? $"it is one of {string.Join(", ", allowed.Select(a => $"\"{a}\""))}."
                : $"did you mean \"{near}\"?"));
        return null;
    }

    /// <summary>The items of an array; null where it is missing or no array.</summary>
    public IReadOnlyList<JsonValue>? Items(string name, string ofWhat)
    {
        JsonValue? found = Find(name);
        if (found is null) return null;
        if (found.Kind == JsonKind.Array) return found.Items;
        WrongType(found, name, $"an array [ … ] of {ofWhat}");
        return null;
    }

    public void WrongType(JsonValue found, string name, string expected) =>
        context.Error(found.Range, DiagnosticCodes.WrongType, $"'{name}' must be {expected}, but is {Describe(found)}.");

    private string? TextOf(JsonValue? found, string name, bool allowBlank = false)
    {
        if (found is null) return null;
        if (found.Kind != JsonKind.String)
        {
            WrongType(found, name, "a text in double quotes");
            return null;
        }

        if (allowBlank || found.Text.Trim().Length > 0) return found.Text;
        context.Error(found.Range, DiagnosticCodes.InvalidValue, $"'{name}' must not be empty.");
        return null;
    }

    /// <summary>The value of a JSON number; one too large for a double is infinite on every framework.</summary>
    public static double NumberOf(JsonValue value) =>
        double.TryParse(value.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number
        : value.Text[0] == '-' ? double.NegativeInfinity
        : double.PositiveInfinity;

    public static string Describe(JsonValue value) => value.Kind switch
    {
        JsonKind.Null => "null",
        JsonKind.Boolean => value.Boolean ? "true" : "false",
        JsonKind.Number => "the number " + Short(value.Text),
        JsonKind.String => "the text " + JsonReader.Quote(value.Text),
        JsonKind.Array => "an array",
        _ => "an object",
    };

    private static string Short(string number) => number.Length <= 30 ? number : number.Substring(0, 29) + "…";

    private static string Unit(string unit) => unit.Length == 0 ? "" : " " + unit;

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text.Substring(1);
}
