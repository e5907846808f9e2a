using Microsoft.Build.Framework;

namespace ModelSdk.Tasks;

/// <summary>
/// <c>dotnet run</c> builds without showing messages, and the first compile takes minutes. Where no live display shows the running
/// phase either (output redirected, simple terminal), the phases go to standard error.
/// </summary>
internal static class QuietConsole
{
    /// <summary>Where to write; null when the build shows its messages, or shows the running target.</summary>
    public static TextWriter? ForBuild(IBuildEngine engine)
    {
        bool messagesAreShown = engine is not IBuildEngine10 { EngineServices: { } services } || services.LogsMessagesOfImportance(MessageImportance.High);
        return !messagesAreShown && IsDotNetRun(Environment.GetCommandLineArgs()) && !HasLiveDisplay() ? Console.Error : null;
    }

    /// <summary>Whether this process is <c>dotnet run</c>, which runs the build inside itself.</summary>
    internal static bool IsDotNetRun(string[] commandLine) =>
        commandLine.Length > 1 && Path.GetFileNameWithoutExtension(commandLine[0]) == "dotnet" && commandLine[1] == "run";

    /// <summary>By the rules of MSBuild's terminal logger.</summary>
    private static bool HasLiveDisplay()
    {
        if (Environment.GetEnvironmentVariable("MSBUILDTERMINALLOGGER") is { Length: > 0 } chosen)
        {
            if (chosen is "off" or "false") return false;
            if (chosen is "on" or "true") return true;
        }

        if (Console.IsOutputRedirected || Environment.GetEnvironmentVariable("TERM") == "dumb") return false;
        try
        {
            return Console.WindowWidth > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
