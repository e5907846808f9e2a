namespace ModelSdk.Manifest;

/// <summary>
/// The small file beside a manifest, meant to be committed (<c>x.model.lock.json</c>): which inputs gave which bundle,
/// and what was measured on it. Equal by value.
/// </summary>
public sealed record ModelLock
{
    /// <summary>The version that this library reads and writes.</summary>
    public const int CurrentFormatVersion = 1;

    /// <summary><c>sha256:</c> and 64 hexadecimal digits over everything the compiler read.</summary>
    public string Inputs { get; init; } = "";

    /// <summary><c>sha256:</c> and 64 hexadecimal digits: the bundle's digest.</summary>
    public string Bundle { get; init; } = "";

    /// <summary>Results by mode, in ordinal order of the mode's name.</summary>
    public EquatableArray<MeasuredMode> Measured { get; init; }

    /// <summary>The lock file of a manifest: <c>tutor.model.json</c> has <c>tutor.model.lock.json</c>.</summary>
    public static string PathFor(string manifestPath)
    {
        if (manifestPath is null) throw new ArgumentNullException(nameof(manifestPath));
        string stem = manifestPath.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            ? manifestPath.Substring(0, manifestPath.Length - ".json".Length)
            : manifestPath;
        return stem + ".lock.json";
    }
}
