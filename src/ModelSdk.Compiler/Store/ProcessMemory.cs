using System.Diagnostics;
using System.Globalization;

namespace ModelSdk.Compiler.Store;

/// <summary>Peak resident memory of this process. On Linux it can be reset, so a peak belongs to one stage; elsewhere it is the process's peak so far.</summary>
internal static class ProcessMemory
{
    /// <summary>Starts a new peak where the system can.</summary>
    public static void ResetPeak()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5"); // proc(5): resets VmHWM
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Some sandboxes mount /proc read-only; the peak is then that of the process.
        }
    }

    /// <summary>Peak resident bytes since the last reset.</summary>
    public static long PeakBytes()
    {
        if (OperatingSystem.IsLinux())
        {
            foreach (string line in File.ReadLines("/proc/self/status"))
            {
                if (line.StartsWith("VmHWM:", StringComparison.Ordinal))
                {
                    return long.Parse(line.AsSpan(6, line.Length - 8).Trim(), CultureInfo.InvariantCulture) * 1024;
                }
            }
        }

        using Process self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64;
    }
}
