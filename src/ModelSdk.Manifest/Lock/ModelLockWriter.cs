using System.Globalization;
using System.Text;

namespace ModelSdk.Manifest;

/// <summary>Writes lock files: the same lock is the same text, with a line for each fact, so that diffs are readable.</summary>
public static class ModelLockWriter
{
    /// <summary>The text of a lock file: two spaces, line feeds, a final line feed.</summary>
    /// <exception cref="ArgumentException">A number is not finite.</exception>
    public static string Write(ModelLock modelLock)
    {
        if (modelLock is null) throw new ArgumentNullException(nameof(modelLock));
        var text = new StringBuilder();
        text.Append("{\n");
        text.Append("  \"formatVersion\": ").Append(ModelLock.CurrentFormatVersion.ToString(CultureInfo.InvariantCulture)).Append(",\n");
        text.Append("  \"inputs\": ").Append(Quote(modelLock.Inputs)).Append(",\n");
        text.Append("  \"bundle\": ").Append(Quote(modelLock.Bundle)).Append(",\n");
        text.Append("  \"measured\": {");
        string separator = "\n";
        foreach (MeasuredMode mode in modelLock.Measured.OrderBy(m => m.Mode, StringComparer.Ordinal))
        {
            text.Append(separator);
            text.Append("    ").Append(Quote(mode.Mode)).Append(": {\n");
            text.Append("      \"accuracy\": ").Append(Number(mode.Accuracy)).Append(",\n");
            text.Append("      \"meanTokens\": ").Append(Number(mode.MeanTokens)).Append(",\n");
            text.Append("      \"examples\": ").Append(mode.Examples.ToString(CultureInfo.InvariantCulture)).Append('\n');
            text.Append("    }");
            separator = ",\n";
        }

        text.Append(modelLock.Measured.Count == 0 ? "}\n" : "\n  }\n");
        return text.Append("}\n").ToString();
    }

    private static string Number(double number) =>
        double.IsNaN(number) || double.IsInfinity(number)
            ? throw new ArgumentException("A measured number is not finite; JSON cannot say it.", nameof(number))
            : number.ToString("R", CultureInfo.InvariantCulture);

    private static string Quote(string value)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in value)
        {
            if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c) || char.IsSurrogate(c)) quoted.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            else quoted.Append(c);
        }

        return quoted.Append('"').ToString();
    }
}
