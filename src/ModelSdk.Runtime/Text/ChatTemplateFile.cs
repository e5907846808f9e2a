using System.Text;
using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Finds the chat template of a model folder.</summary>
internal static class ChatTemplateFile
{
    /// <summary>Name of the file beside tokenizer_config.json that newer models keep the template in.</summary>
    public const string JinjaFile = "chat_template.jinja";

    private const int MaxBytes = 1 << 20;

    /// <summary>Reads and recognises the template.</summary>
    public static ChatTemplate Read(string path)
    {
        string jinja = Path.Combine(Path.GetDirectoryName(path) ?? "", JinjaFile);
        if (File.Exists(jinja))
            return Recognise(Encoding.UTF8.GetString(JsonFile.ReadBytes(jinja, MaxBytes)).TrimStart('\uFEFF'), jinja);

        using JsonDocument document = JsonFile.Open(path);
        var keys = new JsonKeys(document.RootElement, path);
        return keys.Find("chat_template") switch
        {
            null => throw keys.Missing("chat_template", "the template of conversations"),
            { ValueKind: JsonValueKind.String } text => Recognise(keys.Unescape(text, "chat_template"), path),
            { ValueKind: JsonValueKind.Array } named => Recognise(Default(named, keys), path),
            { } other => throw keys.WrongType("chat_template", "a string or an array of named templates", other),
        };
    }

    private static string Default(JsonElement named, JsonKeys keys)
    {
        foreach (JsonElement element in named.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Object)
                throw keys.WrongType("chat_template", "a string or an array of named templates", element);
            var template = new JsonKeys(element, keys.Path, "chat_template.");
            if (template.Text("name") == "default")
                return template.Text("template") ?? throw template.Missing("template", "a text");
        }

        throw keys.Error("chat_template", DiagnosticCodes.ChatTemplateUnsupported, "is a list without a template named \"default\".");
    }

    private static ChatTemplate Recognise(string template, string path)
    {
        if (KnownChatTemplates.Recognise(template) is { } known)
            return known;
        string firstLine = template.Trim().Split('\n')[0].TrimEnd('\r');
        if (firstLine.Length > 120)
            firstLine = firstLine[..120] + "...";
        throw new ModelFormatException(DiagnosticCodes.ChatTemplateUnsupported, $"The chat template that begins with \"{firstLine}\" is not supported; supported are those of Qwen2.5, Qwen2 and plain ChatML. Give the base one of these, for instance by a {JinjaFile} beside tokenizer_config.json.", path);
    }
}
