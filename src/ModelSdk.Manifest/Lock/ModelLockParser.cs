using ModelSdk.Manifest.Binding;
using ModelSdk.Manifest.Json;

namespace ModelSdk.Manifest;

/// <summary>
/// Reads lock files. Pure: no file is opened. Properties it does not know are skipped, as newer compilers may write
/// more; what it needs must be there.
/// </summary>
public static class ModelLockParser
{
    private const string Advice = " Build again to write it anew.";

    /// <summary>Reads a lock file.</summary>
    /// <param name="text">The JSON text.</param>
    /// <param name="path">The file it came from, for diagnostics.</param>
    public static ModelLockResult Parse(string text, string path)
    {
        if (text is null) throw new ArgumentNullException(nameof(text));
        if (path is null) throw new ArgumentNullException(nameof(path));
        var source = new SourceText(text, path);
        var diagnostics = new List<ManifestDiagnostic>();
        JsonValue? root = JsonReader.Read(source, diagnostics);
        ModelLock? parsed = root is null ? null : Bind(root, new BindingContext(source, diagnostics));
        return new ModelLockResult(diagnostics.Count == 0 ? parsed : null, new(diagnostics));
    }

    private static ModelLock? Bind(JsonValue root, BindingContext context)
    {
        if (root.Kind != JsonKind.Object)
        {
            Error(context, root, $"The lock file must be an object, but is {ObjectReader.Describe(root)}.");
            return null;
        }

        JsonValue? version = Find(root, "formatVersion");
        if (version is not { Kind: JsonKind.Number, Text: "1" })
        {
            Error(context, version ?? root, $"The lock file's 'formatVersion' must be {ModelLock.CurrentFormatVersion}; another version of the compiler wrote it.");
            return null;
        }

        return new ModelLock
        {
            Inputs = Digest(root, "inputs", context),
            Bundle = Digest(root, "bundle", context),
            Measured = Measured(root, context),
        };
    }

    private static string Digest(JsonValue root, string name, BindingContext context)
    {
        const string Prefix = "sha256:";
        JsonValue? value = Find(root, name);
        if (value is { Kind: JsonKind.String } && value.Text.Length == Prefix.Length + 64
            && value.Text.StartsWith(Prefix, StringComparison.Ordinal)
            && value.Text.Skip(Prefix.Length).All(c => c is (>= '0' and <= '9') or (>= 'a' and <= 'f')))
            return value.Text;
        Error(context, value ?? root, $"The lock file's '{name}' must be \"sha256:\" and 64 hexadecimal digits.");
        return "";
    }

    private static EquatableArray<MeasuredMode> Measured(JsonValue root, BindingContext context)
    {
        if (Find(root, "measured") is not { } measured) return default;
        if (measured.Kind != JsonKind.Object)
        {
            Error(context, measured, "The lock file's 'measured' must be an object of modes.");
            return default;
        }

        var modes = new List<MeasuredMode>();
        foreach (JsonProperty mode in measured.Properties)
        {
            if (mode.Value.Kind != JsonKind.Object)
            {
                Error(context, mode.Value, $"The lock file's 'measured' must give an object for {JsonReader.Quote(mode.Name)}.");
                continue;
            }

            modes.Add(new MeasuredMode
            {
                Mode = mode.Name,
                Accuracy = Number(mode.Value, "accuracy", 1, context),
                MeanTokens = Number(mode.Value, "meanTokens", int.MaxValue, context),
                Examples = (int)Number(mode.Value, "examples", int.MaxValue, context),
            });
        }

        return new(modes.OrderBy(m => m.Mode, StringComparer.Ordinal));
    }

    private static double Number(JsonValue mode, string name, double max, BindingContext context)
    {
        JsonValue? value = Find(mode, name);
        if (value is { Kind: JsonKind.Number } && ObjectReader.NumberOf(value) is var number && number >= 0 && number <= max) return number;
        Error(context, value ?? mode, $"The lock file's '{name}' must be a number from 0 to {max:R}.");
        return 0;
    }

    private static JsonValue? Find(JsonValue value, string name) => value.Properties.FirstOrDefault(p => p.Name == name)?.Value;

    private static void Error(BindingContext context, JsonValue at, string message) =>
        context.Error(at.Range, DiagnosticCodes.InvalidLock, message + Advice);
}
