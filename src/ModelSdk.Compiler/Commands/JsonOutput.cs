using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Commands;

/// <summary>Where <c>--json FILE|-</c> results go.</summary>
internal static class JsonOutput
{
    private static readonly JsonSerializerOptions s_options = new() { WriteIndented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Text(JsonNode result) => result.ToJsonString(s_options);

    /// <summary>Writes the result to the file, to standard output for <c>-</c>, or nowhere for null.</summary>
    public static void Write(string? target, JsonNode result)
    {
        if (target is null)
        {
            return;
        }

        string text = Text(result) + "\n";
        if (target == "-")
        {
            Console.Out.Write(text);
            return;
        }

        string path = Path.GetFullPath(target);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string temporary = path + ".tmp";
        File.WriteAllText(temporary, text, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        File.Move(temporary, path, overwrite: true);
    }
}
