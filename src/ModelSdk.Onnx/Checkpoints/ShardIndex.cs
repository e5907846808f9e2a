using System.Text.Json;
using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Reads model.safetensors.index.json: which tensor lies in which file of a sharded checkpoint.</summary>
internal static class ShardIndex
{
    /// <summary>File of each tensor, by the tensor's name. Paths are relative and stay inside the folder.</summary>
    public static Dictionary<string, string> Read(string path)
    {
        using JsonDocument document = JsonFile.Open(path, SafetensorsHeader.MaxBytes);
        var root = new JsonKeys(document.RootElement, path);
        JsonKeys map = root.Object("weight_map") ?? throw root.Missing("weight_map", "an object that maps tensors to files");
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.Properties)
        {
            string name = map.Name(entry);
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw root.WrongType("weight_map", "a map of texts to texts; one value", entry.Value);
            string file = root.Unescape(entry.Value, "weight_map");
            if (!StaysInside(file))
                throw new ModelFormatException(DiagnosticCodes.ShardIndexInvalid, $"The index places tensor \"{name}\" in \"{file}\"; shards must be files inside the model's folder, given by relative path.", path);
            files.Add(name, file);
        }

        return files;
    }

    /// <summary>Whether a path is relative, portable and free of steps upwards.</summary>
    private static bool StaysInside(string file) =>
        file.IndexOfAny(['\\', ':', '\0']) < 0
        && file.Split('/').All(part => part.Length > 0 && part is not ("." or ".."));
}
