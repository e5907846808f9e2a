using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training;

/// <summary>Reads data files: JSON Lines, each {"messages": [{"role", "content"}, ...], "answer": ..., "mode": ...}. Empty lines and other keys are skipped.</summary>
public static class TrainingData
{
    /// <summary>Reads a whole file.</summary>
    /// <param name="path">The file, UTF-8.</param>
    /// <exception cref="TrainingException">MDL3010 the file cannot be read; MDL3011 a line is malformed, with its number; MDL3012 it holds no example.</exception>
    public static IReadOnlyList<TrainingExample> Read(string path)
    {
        var examples = new List<TrainingExample>();
        try
        {
            var number = 0;
            foreach (var line in File.ReadLines(path))
            {
                number++;
                if (!string.IsNullOrWhiteSpace(line))
                {
                    examples.Add(Parse(line, path, number));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TrainingException(DiagnosticCodes.DataFileMissing, $"The data file '{path}' cannot be read: {e.Message} Check the path; it is relative to the manifest's folder.", path, innerException: e);
        }

        return examples.Count > 0 ? examples : throw new TrainingException(
            DiagnosticCodes.DataEmpty, $"The data file '{path}' holds no example. Give at least one line of the form {{\"messages\": [...]}}.", path);
    }

    private static TrainingExample Parse(string line, string path, int number)
    {
        TrainingException Invalid(string why, Exception? inner = null) => new(
            DiagnosticCodes.DataLineInvalid,
            $"Line {number} of '{path}' is malformed: {why}. Each line must be one JSON object {{\"messages\": [{{\"role\": \"user\", \"content\": \"...\"}}, ...], \"answer\": \"...\"}}.",
            path, number, inner);

        try
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("messages", out var messages)
                || messages.ValueKind != JsonValueKind.Array
                || messages.GetArrayLength() == 0)
            {
                throw Invalid("it has no array \"messages\" with at least one message");
            }

            var turns = new List<ChatTurn>();
            foreach (var message in messages.EnumerateArray())
            {
                if (message.ValueKind != JsonValueKind.Object
                    || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String
                    || !message.TryGetProperty("content", out var content) || content.ValueKind != JsonValueKind.String)
                {
                    throw Invalid($"message {turns.Count + 1} has no text \"role\" and \"content\"");
                }

                if (role.GetString() is not ("system" or "user" or "assistant"))
                {
                    throw Invalid($"message {turns.Count + 1} has the role \"{role.GetString()}\", which is not system, user or assistant");
                }

                turns.Add(new ChatTurn(role.GetString()!, content.GetString()!));
            }

            string? answer = null;
            if (document.RootElement.TryGetProperty("answer", out var value) && value.ValueKind != JsonValueKind.Null)
            {
                answer = value.ValueKind switch
                {
                    JsonValueKind.String => value.GetString(),
                    JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
                    _ => throw Invalid("\"answer\" is neither text nor number"),
                };
            }

            string? mode = null;
            if (document.RootElement.TryGetProperty("mode", out value) && value.ValueKind != JsonValueKind.Null)
            {
                mode = value.ValueKind == JsonValueKind.String ? value.GetString() : throw Invalid("\"mode\" is no text");
            }

            return new TrainingExample(turns, answer, number, mode);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid(e.Message.TrimEnd('.'), e); // InvalidOperationException: text with half a surrogate pair
        }
    }
}
