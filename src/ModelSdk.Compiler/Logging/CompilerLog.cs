using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace ModelSdk.Compiler.Logging;

/// <summary>The form of what modelc says while it works.</summary>
public enum LogFormat
{
    /// <summary>Lines for people; diagnostics in MSBuild's canonical format.</summary>
    Text,

    /// <summary>One JSON object a line, for the SDK's build task.</summary>
    Json,
}

/// <summary>What modelc says while it works: diagnostics, stages and progress. Safe to call from several threads.</summary>
/// <param name="output">Where lines go.</param>
/// <param name="format">Text or JSON lines.</param>
public sealed class CompilerLog(TextWriter output, LogFormat format)
{
    private static readonly TimeSpan s_progressInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_textProgressInterval = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly List<CompilerDiagnostic> _diagnostics = [];
    private long _lastProgress;
    private string? _lastProgressStage;

    /// <summary>A log that says nothing; diagnostics are still collected.</summary>
    public static CompilerLog Silent() => new(TextWriter.Null, LogFormat.Text);

    /// <summary>Everything reported so far, in order.</summary>
    public IReadOnlyList<CompilerDiagnostic> Diagnostics
    {
        get
        {
            lock (_gate)
            {
                return [.. _diagnostics];
            }
        }
    }

    /// <summary>True once an error was reported.</summary>
    public bool HasErrors => Diagnostics.Any(d => d.Level == DiagnosticLevel.Error);

    /// <summary>Reports a message about the user's files.</summary>
    public void Report(CompilerDiagnostic diagnostic)
    {
        ArgumentNullException.ThrowIfNull(diagnostic);
        lock (_gate)
        {
            _diagnostics.Add(diagnostic);
            if (format == LogFormat.Text)
            {
                output.WriteLine(Canonical(diagnostic));
                output.Flush();
                return;
            }

            WriteJson(writer =>
            {
                writer.WriteString("kind", "diagnostic");
                writer.WriteString("severity", LevelName(diagnostic.Level));
                writer.WriteString("code", diagnostic.Code);
                writer.WriteString("message", diagnostic.Message);
                writer.WriteString("file", diagnostic.File);
                writer.WriteNumber("line", diagnostic.Line);
                writer.WriteNumber("column", diagnostic.Column);
                writer.WriteNumber("endLine", diagnostic.EndLine);
                writer.WriteNumber("endColumn", diagnostic.EndColumn);
                writer.WriteString("help", Manifest.DiagnosticCodes.HelpLink(diagnostic.Code));
            });
        }
    }

    /// <summary>Says that a stage begins.</summary>
    public void StageStarted(string name, string? adapter)
    {
        lock (_gate)
        {
            if (format == LogFormat.Text)
            {
                return; // a line a stage is enough; progress shows the rest
            }

            WriteJson(writer =>
            {
                writer.WriteString("kind", "stage");
                writer.WriteString("name", name);
                if (adapter is not null)
                {
                    writer.WriteString("adapter", adapter);
                }

                writer.WriteString("state", "started");
            });
        }
    }

    /// <summary>Says that a stage is done, or was found in the store.</summary>
    public void StageFinished(string name, string? adapter, bool cached, double seconds)
    {
        lock (_gate)
        {
            if (format == LogFormat.Text)
            {
                string how = cached ? "up to date" : string.Create(CultureInfo.InvariantCulture, $"done in {seconds:F1} s");
                output.WriteLine($"  {Title(name, adapter),-24} {how}");
                output.Flush();
                return;
            }

            WriteJson(writer =>
            {
                writer.WriteString("kind", "stage");
                writer.WriteString("name", name);
                if (adapter is not null)
                {
                    writer.WriteString("adapter", adapter);
                }

                writer.WriteString("state", "finished");
                writer.WriteBoolean("cached", cached);
                writer.WriteNumber("seconds", Math.Round(seconds, 3));
            });
        }
    }

    /// <summary>Says how far a stage is. Calls that follow each other quickly are dropped, but for the first of a stage and those at fraction 1.</summary>
    /// <param name="stage">The stage's name.</param>
    /// <param name="adapter">The adapter it belongs to, or null.</param>
    /// <param name="text">What it does now, short.</param>
    /// <param name="fraction">How much is done, 0..1.</param>
    public void Progress(string stage, string? adapter, string text, double fraction)
    {
        string title = Title(stage, adapter);
        lock (_gate)
        {
            TimeSpan interval = format == LogFormat.Text ? s_textProgressInterval : s_progressInterval;
            bool first = _lastProgressStage != title;
            if (!first && fraction < 1 && Stopwatch.GetElapsedTime(_lastProgress) < interval)
            {
                return;
            }

            _lastProgress = Stopwatch.GetTimestamp();
            _lastProgressStage = title;
            if (format == LogFormat.Text)
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {title,-24} {fraction * 100,3:F0}%  {text}"));
                output.Flush();
                return;
            }

            WriteJson(writer =>
            {
                writer.WriteString("kind", "progress");
                writer.WriteString("stage", stage);
                if (adapter is not null)
                {
                    writer.WriteString("adapter", adapter);
                }

                writer.WriteString("text", text);
                writer.WriteNumber("fraction", Math.Round(Math.Clamp(fraction, 0, 1), 4));
            });
        }
    }

    /// <summary>Names a file that the compile depends on; the JSON form only, where the build task records it.</summary>
    /// <param name="file">Full path, links resolved.</param>
    /// <param name="modified">Ticks of its last write in UTC, taken before it is read; 0 when the file is absent.</param>
    public void Input(string file, long modified)
    {
        if (format == LogFormat.Text)
        {
            return;
        }

        lock (_gate)
        {
            WriteJson(writer =>
            {
                writer.WriteString("kind", "input");
                writer.WriteString("file", file);
                writer.WriteNumber("modified", modified);
            });
        }
    }

    /// <summary>Says that the bundle is in its output folder.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="digest">The bundle's digest.</param>
    /// <param name="folder">Full path of its folder.</param>
    /// <param name="headline">What was measured, in one line; null when nothing was.</param>
    public void BundleWritten(string name, string digest, string folder, string? headline)
    {
        if (format == LogFormat.Text)
        {
            Say(headline is null ? $"{name} -> {folder}" : $"{name} -> {folder}{Environment.NewLine}  {headline}");
            return;
        }

        lock (_gate)
        {
            WriteJson(writer =>
            {
                writer.WriteString("kind", "bundle");
                writer.WriteString("name", name);
                writer.WriteString("digest", digest);
                writer.WriteString("folder", folder);
                if (headline is not null)
                {
                    writer.WriteString("headline", headline);
                }
            });
        }
    }

    /// <summary>Says something that is no diagnostic, such as the place of the bundle. Not written in the JSON form.</summary>
    public void Say(string text)
    {
        lock (_gate)
        {
            if (format == LogFormat.Text)
            {
                output.WriteLine(text);
                output.Flush();
            }
        }
    }

    internal static string LevelName(DiagnosticLevel level) => level switch
    {
        DiagnosticLevel.Error => "error",
        DiagnosticLevel.Warning => "warning",
        _ => "info",
    };

    internal static string Title(string stage, string? adapter) => adapter is null ? stage : $"{stage} {adapter}";

    /// <summary>MSBuild's canonical form: <c>file(line,col,endline,endcol): error MDL1001: text</c>.</summary>
    internal static string Canonical(CompilerDiagnostic diagnostic)
    {
        string origin = diagnostic.File ?? "modelc";
        if (diagnostic.File is not null && diagnostic.Line > 0)
        {
            origin += diagnostic.EndLine > 0 && diagnostic.EndColumn > 0
                ? string.Create(CultureInfo.InvariantCulture, $"({diagnostic.Line},{Math.Max(diagnostic.Column, 1)},{diagnostic.EndLine},{diagnostic.EndColumn})")
                : string.Create(CultureInfo.InvariantCulture, $"({diagnostic.Line},{Math.Max(diagnostic.Column, 1)})");
        }

        // A message of several lines would end the diagnostic for MSBuild.
        string message = diagnostic.Message.ReplaceLineEndings(" ");
        return $"{origin}: {LevelName(diagnostic.Level)} {diagnostic.Code}: {message}";
    }

    private void WriteJson(Action<Utf8JsonWriter> body)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter writer = new(buffer))
        {
            writer.WriteStartObject();
            body(writer);
            writer.WriteEndObject();
        }

        output.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
        output.Flush();
    }
}
