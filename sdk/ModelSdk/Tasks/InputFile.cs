using System.Globalization;

namespace ModelSdk.Tasks;

/// <summary>A file that the compiler read, or looked for and did not find.</summary>
internal sealed class InputFile(string path, long? modifiedTicksUtc)
{
    public string Path { get; } = path;

    /// <summary>The same text as <c>%(Identity)|%(ModifiedTime)</c> gives in the targets, for the time at which the compiler read the file.</summary>
    public string KeyLine() => Path + "|" + Modified();

    private string Modified()
    {
        if (modifiedTicksUtc == 0) return "";
        if (modifiedTicksUtc is null && !File.Exists(Path)) return "";
        DateTime time = modifiedTicksUtc is { } ticks ? new DateTime(ticks, DateTimeKind.Utc).ToLocalTime() : File.GetLastWriteTime(Path);
        return time.ToString("yyyy'-'MM'-'dd HH':'mm':'ss'.'fffffff", CultureInfo.InvariantCulture);
    }
}
