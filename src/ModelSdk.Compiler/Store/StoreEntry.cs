using System.Text.Json.Serialization;

namespace ModelSdk.Compiler.Store;

/// <summary>One finished output of a stage: a folder that never changes.</summary>
/// <param name="Key">Stage and key.</param>
/// <param name="Folder">Where its files lie.</param>
/// <param name="Record">What entry.json says.</param>
/// <param name="Cached">True when it was in the store already; false when this run made it.</param>
public sealed record StoreEntry(StageKey Key, string Folder, StoreEntryRecord Record, bool Cached)
{
    /// <summary>Full path of one of the entry's files.</summary>
    public string File(string relativePath) => Path.Combine(Folder, relativePath);
}

/// <summary>The content of entry.json.</summary>
public sealed record StoreEntryRecord
{
    /// <summary>Version of this record's form.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>Stage name.</summary>
    public required string Stage { get; init; }

    /// <summary>The key's hash.</summary>
    public required string Key { get; init; }

    /// <summary>What the key was made of, one "name=value" a line.</summary>
    public required string Inputs { get; init; }

    /// <summary>Time the stage took when it was made, in seconds, over all attempts that ended in this entry's own run.</summary>
    public double Seconds { get; init; }

    /// <summary>When it was finished; entries of older compilers do not say.</summary>
    public DateTimeOffset? Made { get; init; }

    /// <summary>Peak resident memory while it was made, in MiB.</summary>
    public double PeakRssMb { get; init; }

    /// <summary>Every file but entry.json: path with forward slashes -> bytes and SHA-256.</summary>
    public required SortedDictionary<string, StoredFile> Files { get; init; }
}

/// <summary>Size and digest of a stored file.</summary>
/// <param name="Bytes">Length.</param>
/// <param name="Sha256">64 hexadecimal digits, in lower case.</param>
public sealed record StoredFile(long Bytes, string Sha256);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, NewLine = "\n")]
[JsonSerializable(typeof(StoreEntryRecord))]
internal sealed partial class StoreJson : JsonSerializerContext;
