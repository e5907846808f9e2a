using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;

namespace ModelSdk.Tasks;

/// <summary>
/// A child process whose output is handled line by line on the caller's thread. Its input stays open while it should run:
/// closing it asks the child to stop, and the end of this process closes it in any case.
/// </summary>
internal sealed class CompilerProcess
{
    private readonly object gate = new();
    private Process? process;

    /// <summary>Whether <see cref="Cancel"/> was called.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>Runs the program to its end.</summary>
    /// <param name="fileName">Full path of the program.</param>
    /// <param name="arguments">Its arguments, not quoted.</param>
    /// <param name="environment">Variables set on top of this process's own.</param>
    /// <param name="output">Gets each line of standard output.</param>
    /// <param name="error">Gets each line of standard error.</param>
    /// <returns>The exit code.</returns>
    public int Run(string fileName, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, Action<string> output, Action<string> error)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var start = new ProcessStartInfo(fileName, string.Join(" ", arguments.Select(Quote)))
        {
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = utf8,
            StandardErrorEncoding = utf8,
        };
        foreach (KeyValuePair<string, string> variable in environment) start.Environment[variable.Key] = variable.Value;

        using var lines = new BlockingCollection<(bool IsError, string Text)>();
        using var child = new Process { StartInfo = start };
        int open = 2;
        void Receive(bool isError, string? text)
        {
            if (text is not null) lines.Add((isError, text));
            else if (Interlocked.Decrement(ref open) == 0) lines.CompleteAdding();
        }

        child.OutputDataReceived += (_, e) => Receive(false, e.Data);
        child.ErrorDataReceived += (_, e) => Receive(true, e.Data);
        lock (gate)
        {
            if (IsCancelled) return -1;
            child.Start();
            process = child;
        }

        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        foreach ((bool isError, string text) in lines.GetConsumingEnumerable()) (isError ? error : output)(text);
        child.WaitForExit();
        lock (gate)
        {
            process = null;
        }

        return child.ExitCode;
    }

    /// <summary>Asks the child to stop by closing its input; kills it and its children when it has not ended in time.</summary>
    /// <param name="grace">Time for the child's checkpoint.</param>
    public void Cancel(TimeSpan grace)
    {
        lock (gate)
        {
            if (IsCancelled) return;
            IsCancelled = true;
            if (process is null) return;
            try
            {
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // The child has closed its end already.
            }

            // Does nothing when the child has ended in time; does not keep this process alive.
            _ = Task.Delay(grace).ContinueWith(_ => Kill(), TaskScheduler.Default);
        }
    }

    private void Kill()
    {
        lock (gate)
        {
            if (process is null) return;
            try
            {
                // Killing the whole tree exists since .NET Core 3.0; this assembly must also load into .NET Framework's MSBuild.
                if (typeof(Process).GetMethod("Kill", [typeof(bool)]) is { } killTree) killTree.Invoke(process, [true]);
                else process.Kill();
            }
            catch (Exception e) when (e is InvalidOperationException or System.Reflection.TargetInvocationException)
            {
                // It has ended in the meantime.
            }
        }
    }

    /// <summary>Quotes one argument by the rules that .NET applies to <see cref="ProcessStartInfo.Arguments"/> on every system.</summary>
    internal static string Quote(string argument)
    {
        if (argument.Length > 0 && argument.IndexOfAny([' ', '\t', '"']) < 0) return argument;
        var quoted = new StringBuilder("\"");
        int backslashes = 0;
        foreach (char c in argument)
        {
            if (c == '\\')
            {
                backslashes++;
                continue;
            }

            quoted.Append('\\', c == '"' ? (2 * backslashes) + 1 : backslashes).Append(c);
            backslashes = 0;
        }

        return quoted.Append('\\', 2 * backslashes).Append('"').ToString();
    }
}
