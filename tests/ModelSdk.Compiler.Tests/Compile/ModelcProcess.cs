using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace ModelSdk.Compiler.Tests.Compile;

/// <summary>The real modelc in a process of its own, reporting JSON lines.</summary>
internal sealed class ModelcProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    private ModelcProcess(Process process) => _process = process;

    /// <summary>What it wrote to standard error.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    public static ModelcProcess Start(params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        };
        start.ArgumentList.Add("exec");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "modelc.dll"));
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        Process process = Process.Start(start)!;
        ModelcProcess modelc = new(process);
        process.ErrorDataReceived += (_, e) =>
        {
            lock (modelc._errors)
            {
                modelc._errors.AppendLine(e.Data);
            }
        };
        process.BeginErrorReadLine();
        return modelc;
    }

    /// <summary>Reads events until one fits; null at the end of the output.</summary>
    public async Task<JsonElement?> ReadUntilAsync(Func<JsonElement, bool> fits)
    {
        while (await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is string line)
        {
            JsonElement message = JsonDocument.Parse(line).RootElement;
            if (fits(message))
            {
                return message;
            }
        }

        return null;
    }

    public void CloseInput() => _process.StandardInput.Close();

    public void Kill() => _process.Kill(entireProcessTree: true);

    /// <summary>All further events, and the exit code.</summary>
    public async Task<(int ExitCode, IReadOnlyList<JsonElement> Events)> FinishAsync()
    {
        List<JsonElement> events = [];
        await ReadUntilAsync(message =>
        {
            events.Add(message);
            return false;
        });
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (_process.ExitCode, events);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
    }

    public static string? Text(JsonElement message, string name) => message.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;

    public static bool IsStage(JsonElement message, string name, string state) =>
        Text(message, "kind") == "stage" && Text(message, "name") == name && Text(message, "state") == state;
}
