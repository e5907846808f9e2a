using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation.Graders;

/// <summary>
/// The user's own program. It is started once for each batch of answers, without a shell, in the manifest's folder; reads
/// <c>{"id","question","expected","answer","output"}</c> lines until its input ends, and writes <c>{"id","score"}</c> lines, in any order.
/// </summary>
/// <param name="settings">Command and timeout.</param>
/// <param name="folder">The manifest's folder.</param>
/// <param name="error">Makes the error, at the place of the command in the manifest.</param>
internal sealed class ProgramGrader(GraderSettings settings, string folder, Func<string, Exception?, CompilerException> error) : IGrader
{
    private const int TailLines = 8;

    // Once the program has ended, what it wrote is there; a child that it left behind must not hold the build up by keeping the pipes open.
    private static readonly TimeSpan s_pipesClose = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public IReadOnlyList<double> Grade(IReadOnlyList<GradedAnswer> answers, CancellationToken cancellationToken) =>
        // Several answers to one question have one id; the program gets one that tells them apart.
        answers.Count == 0 ? [] : GradeAsync([.. answers.Select((a, i) => a with { Id = string.Create(CultureInfo.InvariantCulture, $"{a.Id}.{i}") })], cancellationToken).GetAwaiter().GetResult();

    private async Task<IReadOnlyList<double>> GradeAsync(IReadOnlyList<GradedAnswer> answers, CancellationToken cancellationToken)
    {
        using Process process = Start();
        Queue<string> tail = new();
        using CancellationTokenSource timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(TimeSpan.FromSeconds(settings.TimeoutSeconds));
        try
        {
            Task writing = WriteAsync(process, answers);
            Task<List<string>> reading = ReadAsync(process.StandardOutput);
            Task complaints = KeepTailAsync(process.StandardError, tail);
            await process.WaitForExitAsync(timeout.Token).ConfigureAwait(false);
            await Task.WhenAny(Task.WhenAll(writing, reading, complaints), Task.Delay(s_pipesClose, timeout.Token)).ConfigureAwait(false);
            if (process.ExitCode != 0)
            {
                throw error($"{Name} ended with exit code {process.ExitCode} when it was given {Count(answers.Count)}.{Tail(tail)}", null);
            }

            if (!reading.IsCompletedSuccessfully)
            {
                throw error($"{Name} has ended, but a process that it started keeps its output open. A grader must end with all that it starts.{Tail(tail)}", null);
            }

            return Scores(answers, reading.Result, tail);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw error($"{Name} did not finish {Count(answers.Count)} within {settings.TimeoutSeconds} seconds and was ended. It must read its input to the end, write its scores and exit; grader.timeoutSeconds allows more time.{Tail(tail)}", null);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private string Name => $"The grading program \"{string.Join(' ', settings.Command)}\"";

    private Process Start()
    {
        string program = settings.Command[0];
        string beside = Path.GetFullPath(Path.Combine(folder, program));
        ProcessStartInfo start = new(File.Exists(beside) ? beside : program)
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };
        foreach (string argument in settings.Command.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            return Process.Start(start)!;
        }
        catch (Exception exception) when (exception is Win32Exception or FileNotFoundException)
        {
            throw error($"{Name} cannot be started: {exception.Message} It is looked for beside the manifest and then on PATH.", exception);
        }
    }

    private static async Task WriteAsync(Process process, IReadOnlyList<GradedAnswer> answers)
    {
        try
        {
            foreach (GradedAnswer answer in answers)
            {
                await process.StandardInput.WriteAsync(JsonSerializer.Serialize(answer, GraderJson.Default.GradedAnswer) + "\n").ConfigureAwait(false);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // A program that stops reading has decided already, or failed: its output and exit code tell which.
        }
    }

    private static async Task<List<string>> ReadAsync(StreamReader reader)
    {
        List<string> lines = [];
        while (await reader.ReadLineAsync().ConfigureAwait(false) is string line)
        {
            lines.Add(line);
        }

        return lines;
    }

    private static async Task KeepTailAsync(StreamReader reader, Queue<string> tail)
    {
        while (await reader.ReadLineAsync().ConfigureAwait(false) is string line)
        {
            lock (tail)
            {
                tail.Enqueue(line);
                if (tail.Count > TailLines)
                {
                    tail.Dequeue();
                }
            }
        }
    }

    private double[] Scores(IReadOnlyList<GradedAnswer> answers, List<string> lines, Queue<string> tail)
    {
        Dictionary<string, int> places = answers.Select((a, i) => (a.Id, i)).ToDictionary(p => p.Id, p => p.i, StringComparer.Ordinal);
        double?[] scores = new double?[answers.Count];
        for (int i = 0; i < lines.Count; i++)
        {
            if (string.IsNullOrWhiteSpace(lines[i]))
            {
                continue;
            }

            (string id, double score) = Read(lines[i], i + 1, tail);
            if (!places.TryGetValue(id, out int place))
            {
                throw error($"{Name} gave a score for the id \"{id}\", which was not asked for (line {i + 1} of its output). Scores must carry the ids of the answers.{Tail(tail)}", null);
            }

            if (scores[place] is not null)
            {
                throw error($"{Name} gave two scores for the id \"{id}\" (line {i + 1} of its output).{Tail(tail)}", null);
            }

            scores[place] = score;
        }

        int missing = Array.FindIndex(scores, s => s is null);
        return missing < 0
            ? [.. scores.Select(s => s!.Value)]
            : throw error($"{Name} gave no score for {scores.Count(s => s is null)} of {answers.Count} answers, the first with the id \"{answers[missing].Id}\". It must write one {{\"id\", \"score\"}} line for each line that it reads.{Tail(tail)}", null);
    }

    private (string Id, double Score) Read(string line, int number, Queue<string> tail)
    {
        CompilerException Wrong(string why, Exception? inner = null) =>
            error($"Line {number} of the output of {char.ToLowerInvariant(Name[0])}{Name[1..]} is no score: {why}: {(line.Length > 120 ? line[..120] + "..." : line)}. Each line must be {{\"id\": \"...\", \"score\": 0 to 1}}; what is said otherwise belongs on standard error.{Tail(tail)}", inner);

        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("id", out JsonElement id) || id.ValueKind != JsonValueKind.String
                || !document.RootElement.TryGetProperty("score", out JsonElement score) || score.ValueKind != JsonValueKind.Number)
            {
                throw Wrong("it has no text \"id\" and number \"score\"");
            }

            double value = score.GetDouble();
            return value is >= 0 and <= 1 ? (id.GetString()!, value) : throw Wrong("the score is not from 0 to 1");
        }
        catch (JsonException exception)
        {
            throw Wrong("it is no JSON", exception);
        }
    }

    private static string Count(int answers) => answers == 1 ? "1 answer" : $"{answers} answers";

    private static string Tail(Queue<string> tail)
    {
        lock (tail)
        {
            return tail.Count == 0 ? "" : " Its last words: " + string.Join(" | ", tail);
        }
    }
}

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.CamelCase)]
[System.Text.Json.Serialization.JsonSerializable(typeof(GradedAnswer))]
internal sealed partial class GraderJson : System.Text.Json.Serialization.JsonSerializerContext;
