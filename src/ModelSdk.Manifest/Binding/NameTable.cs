using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest.Binding;

/// <summary>
/// Names of one kind ("adapter") that become members of one C# type: each is checked, and no two may become the same.
/// </summary>
internal sealed class NameTable(BindingContext context, string kind)
{
    /// <summary>Members that the generated types have, or inherit.</summary>
    private static readonly string[] ReservedIdentifiers =
    [
        "Adapters", "All", "Auto", "Base", "Budgets", "Equals", "Finalize", "GetHashCode", "GetType", "MemberwiseClone",
        "ReferenceEquals", "ToString",
    ];

    /// <summary>Names that Windows keeps for devices, whatever follows the first point.</summary>
    private static readonly string[] DeviceNames = ["con", "prn", "aux", "nul"];

    private readonly Dictionary<string, string> identifiers = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The identifier of a name that is a file name in the bundle too; null after an error.</summary>
    public string? AddName(string name, TextRange range)
    {
        if (name.Length == 0 || !char.IsLetterOrDigit(name[0]) || !name.All(c => char.IsLetterOrDigit(c) || c is '-' or '_' or '.' or ' ') || name[name.Length - 1] is '.' or ' ')
        {
            context.Error(range, DiagnosticCodes.InvalidName, $"The {kind}'s name {JsonReader.Quote(name)} cannot be used: a name begins with a letter or digit and goes on with letters, digits, '-', '_', '.' or spaces.");
            return null;
        }

        string stem = name.Split('.')[0].Trim();
        if (DeviceNames.Contains(stem, StringComparer.OrdinalIgnoreCase) || IsNumberedDevice(stem))
        {
            context.Error(range, DiagnosticCodes.ReservedName, $"The {kind}'s name {JsonReader.Quote(name)} is a device on Windows, so no file can have it; choose another.");
            return null;
        }

        string? identifier = AddText(name, range);
        if (identifier is null || !ReservedIdentifiers.Contains(identifier, StringComparer.Ordinal)) return identifier;
        context.Error(range, DiagnosticCodes.ReservedName, $"The {kind}'s name {JsonReader.Quote(name)} becomes the member '{identifier}', which the client has for itself; choose another.");
        return null;
    }

    /// <summary>The identifier of any text; null after an error.</summary>
    public string? AddText(string text, TextRange range)
    {
        string? identifier = CSharpNames.ToIdentifier(text);
        if (identifier is null)
        {
            context.Error(
                range,
                DiagnosticCodes.InvalidName,
                text.Length >= CSharpNames.MaxLength
                    ? $"The {kind} {JsonReader.Quote(text)} is too long for a C# identifier; {CSharpNames.MaxLength} characters are allowed."
                    : $"The {kind} {JsonReader.Quote(text)} cannot become a C# identifier: it has no letter or digit.");
            return null;
        }

        if (!identifiers.TryGetValue(identifier, out string? other))
        {
            identifiers.Add(identifier, text);
            return identifier;
        }

        context.Error(
            range,
            DiagnosticCodes.NameCollision,
            other == text
                ? $"The {kind} {JsonReader.Quote(text)} is given twice; remove one."
                : $"The {kind}s {JsonReader.Quote(other)} and {JsonReader.Quote(text)} both become '{identifier}' in C# (case does not tell them apart); rename one.");
        return null;
    }

    private static bool IsNumberedDevice(string stem) =>
        stem.Length == 4 && char.IsDigit(stem[3])
        && (stem.StartsWith("com", StringComparison.OrdinalIgnoreCase) || stem.StartsWith("lpt", StringComparison.OrdinalIgnoreCase));
}
