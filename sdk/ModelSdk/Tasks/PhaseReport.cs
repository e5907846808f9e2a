using System.Diagnostics;
using System.Globalization;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace ModelSdk.Tasks;

/// <summary>Turns the compiler's events into diagnostics and messages of the build.</summary>
internal sealed class PhaseReport(TaskLoggingHelper log, IBuildEngine engine, string model, string stage)
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(10);

    private readonly TextWriter? console = QuietConsole.ForBuild(engine);
    private readonly Queue<string> toolErrors = new();
    private readonly Stopwatch sinceProgress = Stopwatch.StartNew();

    /// <summary>Reports one line.</summary>
    /// <param name="received">The line as an event; null when it is none.</param>
    /// <param name="line">The line itself.</param>
    /// <param name="manifest">File of diagnostics that name none.</param>
    public void Add(CompilerEvent? received, string line, string manifest)
    {
        switch (received?.Kind)
        {
            case "diagnostic":
                Diagnostic(received, manifest);
                break;
            case "stage":
                Phase(received);
                break;
            case "progress" when received["text"] is { } text:
                Progress(text, received.Number("fraction"));
                break;
            case null:
                log.LogMessage(MessageImportance.Normal, "{0}", line);
                break;
        }
    }

    /// <summary>The model is compiled: what was measured, and where to read all of it.</summary>
    /// <param name="page">The report for people.</param>
    /// <param name="headline">Accuracy, tokens and gates in one line; null when nothing was measured.</param>
    public void Bundle(string page, string? headline) =>
        Say(MessageImportance.High, $"{model}: {(headline is null ? "compiled" : headline)}; report: {page}");

    /// <summary>A line of the compiler's standard error; kept in case it ends without a diagnostic.</summary>
    public void ToolError(string line)
    {
        log.LogMessage(MessageImportance.Normal, "{0}", line);
        toolErrors.Enqueue(line);
        if (toolErrors.Count > 20) toolErrors.Dequeue();
    }

    /// <summary>The last lines of standard error, for the message about a crash.</summary>
    public string LastToolErrors() => toolErrors.Count == 0 ? "" : " Its last lines: " + string.Join(Environment.NewLine, toolErrors);

    private void Diagnostic(CompilerEvent received, string manifest)
    {
        string? code = received["code"], message = received["message"] ?? "", help = received["help"], file = received["file"] ?? manifest;
        int line = Position(received, "line"), column = Position(received, "column"), endLine = Position(received, "endLine"), endColumn = Position(received, "endColumn");
        switch (received["severity"])
        {
            case "error":
                log.LogError(null, code, null, help, file, line, column, endLine, endColumn, "{0}", message);
                break;
            case "warning":
                log.LogWarning(null, code, null, help, file, line, column, endLine, endColumn, "{0}", message);
                break;
            default:
                log.LogMessage(null, code, null, file, line, column, endLine, endColumn, MessageImportance.High, "{0}", message);
                break;
        }
    }

    private static int Position(CompilerEvent received, string name) => (int)(received.Integer(name) ?? 0);

    private void Phase(CompilerEvent received)
    {
        string? name = received["name"];
        bool cached = received["cached"] == "true";
        string adapter = received["adapter"] is { Length: > 0 } named ? $" of adapter '{named}'" : "";
        if (received["state"] == "started")
        {
            if (name == stage) Say(MessageImportance.High, $"{model}: {name}{adapter} ...");
        }
        else if (received["state"] == "finished")
        {
            string how = cached
                ? "taken from the store"
                : string.Format(CultureInfo.InvariantCulture, "done in {0:0.0} s", received.Number("seconds") ?? 0);

            // A phase passes through the stages before it, which are in the store by then; only its own is news.
            Say(name == stage ? MessageImportance.High : MessageImportance.Low, $"{model}: {name}{adapter} {how}");
        }
    }

    private void Progress(string text, double? fraction)
    {
        if (sinceProgress.Elapsed < ProgressInterval)
        {
            log.LogMessage(MessageImportance.Low, "{0}: {1}", model, text);
            return;
        }

        sinceProgress.Restart();
        string share = fraction is { } done ? string.Format(CultureInfo.InvariantCulture, "{0,3:0} % ", 100 * done) : "";
        Say(MessageImportance.High, $"{model}: {share}{text}");
    }

    private void Say(MessageImportance importance, string text)
    {
        log.LogMessage(importance, "{0}", text);
        if (importance == MessageImportance.High) console?.WriteLine("  " + text);
    }
}
