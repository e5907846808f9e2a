using System.Text.Json;
using System.Text.Unicode;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Reads the JSON files of a model folder; every failure is a <see cref="ModelFormatException"/> that names file, line and key.</summary>
internal static class JsonFile
{
    private const int MaxDepth = 64;

    /// <summary>Reads a whole file of at most <paramref name="maxBytes"/> bytes.</summary>
    public static byte[] ReadBytes(string path, long maxBytes)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1);
            if (stream.Length > maxBytes)
                throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"{System.IO.Path.GetFileName(path)} has {stream.Length} bytes; at most {maxBytes} are read. Check that this is the right file.", path);
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException(DiagnosticCodes.ModelFileMissing, $"Cannot read {System.IO.Path.GetFileName(path)}: {Reason(e)}", path, e);
        }
    }

    /// <summary>Reads and parses a JSON object. Duplicate keys, comments and trailing commas are refused.</summary>
    public static JsonDocument Open(string path, long maxBytes = 16 << 20) => Parse(ReadBytes(path, maxBytes), path);

    /// <summary>Parses the bytes of a JSON object.</summary>
    public static JsonDocument Parse(ReadOnlyMemory<byte> bytes, string path)
    {
        if (bytes.Span.StartsWith("\uFEFF"u8))
            bytes = bytes[3..];
        if (!Utf8.IsValid(bytes.Span)) // the parser would notice only where a text is read
            throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"{System.IO.Path.GetFileName(path)} is not valid JSON: it holds bytes that are not UTF-8.", path);
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // the latter for a key with half a surrogate pair
        {
            throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"{System.IO.Path.GetFileName(path)} is not valid JSON: {e.Message}", path, e);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
            return document;
        JsonValueKind kind = document.RootElement.ValueKind;
        document.Dispose();
        throw new ModelFormatException(DiagnosticCodes.ModelJsonInvalid, $"{System.IO.Path.GetFileName(path)} must hold a JSON object, but holds {Describe(kind)}.", path);
    }

    /// <summary>Names a kind of JSON value in an error.</summary>
    public static string Describe(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };

    private static string Reason(Exception e) => e switch
    {
        FileNotFoundException or DirectoryNotFoundException => "it does not exist. A model folder in Hugging Face layout must hold it.",
        UnauthorizedAccessException => "access was denied, or it is a folder.",
        _ => e.Message,
    };
}
