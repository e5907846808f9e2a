using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ModelSdk.Compiler.Store;

/// <summary>The name of one store entry: a stage, and the SHA-256 of everything that decides what the stage writes.</summary>
/// <param name="Stage">Stage name, in lower case: the first folder level of the store.</param>
/// <param name="Hash">64 hexadecimal digits, in lower case.</param>
/// <param name="Inputs">What was hashed, one "name=value" a line; kept in the entry so that a person can see why two keys differ.</param>
public sealed record StageKey(string Stage, string Hash, string Inputs)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Stage}/{Hash}";
}

/// <summary>Collects what a stage reads, in a fixed order, and hashes it.</summary>
/// <param name="stage">Stage name.</param>
/// <param name="version">Version of the stage's code: raised whenever the same inputs would give other bytes.</param>
internal sealed class StageKeyBuilder(string stage, int version)
{
    private readonly StringBuilder _inputs = new($"stage={stage}\nversion={version.ToString(CultureInfo.InvariantCulture)}\n");

    public StageKeyBuilder Add(string name, string? value)
    {
        // JSON quoting keeps line ends out of the value, so no two lists of inputs give the same text.
        string quoted = value is null ? "null" : "\"" + JsonEncodedText.Encode(value) + "\"";
        _inputs.Append(name).Append('=').Append(quoted).Append('\n');
        return this;
    }

    public StageKeyBuilder Add(string name, long value) => AddRaw(name, value.ToString(CultureInfo.InvariantCulture));

    public StageKeyBuilder Add(string name, double value) => AddRaw(name, value.ToString("R", CultureInfo.InvariantCulture));

    public StageKeyBuilder Add(string name, bool value) => AddRaw(name, value ? "true" : "false");

    public StageKeyBuilder Add(string name, StageKey upstream) => AddRaw(name, upstream.ToString());

    public StageKey Build()
    {
        string inputs = _inputs.ToString();
        return new StageKey(stage, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(inputs))), inputs);
    }

    private StageKeyBuilder AddRaw(string name, string value)
    {
        _inputs.Append(name).Append('=').Append(value).Append('\n');
        return this;
    }
}
