using System.Text.Json;
using ModelSdk.Manifest;

namespace ModelSdk.Runtime.Text;

/// <summary>Checks that the steps of a tokenizer.json around its vocabulary are the ones that are reproduced exactly: those of Qwen2.</summary>
internal static class TokenizerPipeline
{
    /// <summary>Checks the steps. Returns whether text is brought to normalization form C first.</summary>
    public static bool Check(JsonKeys root)
    {
        CheckSplit(root);
        CheckByteLevel(root, "decoder");
        if (root.Object("post_processor") is not null)
            CheckByteLevel(root, "post_processor");
        foreach (string key in (ReadOnlySpan<string>)["truncation", "padding"])
        {
            if (root.Find(key) is not null)
                throw Unsupported(root, key, "is set; remove it, prompts are never cut or padded");
        }

        if (root.Object("normalizer") is not { } normalizer)
            return false;
        return Type(normalizer) is "NFC" ? true : throw Unsupported(root, "normalizer", $"is {Type(normalizer)}; supported are NFC and none");
    }

    /// <summary>Checks the options of the model.</summary>
    public static void CheckModel(JsonKeys model)
    {
        if (model.Text("type") is string type and not "BPE")
            throw Unsupported(model, "type", $"is {type}; supported is BPE");
        if (model.Find("dropout") is { } dropout && !(dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() == 0))
            throw Unsupported(model, "dropout", "is set; encoding would be random");
        foreach (string key in (ReadOnlySpan<string>)["unk_token", "continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Text(key) is { Length: > 0 } text)
                throw Unsupported(model, key, $"is \"{text}\"; byte-level BPE has none");
        }

        foreach (string key in (ReadOnlySpan<string>)["fuse_unk", "byte_fallback"])
        {
            if (model.Boolean(key, false))
                throw Unsupported(model, key, "is true; byte-level BPE does not need it");
        }
    }

    /// <summary>A split by Qwen2's pattern, then bytes.</summary>
    private static void CheckSplit(JsonKeys root)
    {
        JsonKeys sequence = root.Object("pre_tokenizer") ?? throw Unsupported(root, "pre_tokenizer", "is missing; supported is the split of Qwen2 followed by ByteLevel");
        if (Type(sequence) != "Sequence")
            throw Unsupported(root, "pre_tokenizer", $"is {Type(sequence)}; supported is the split of Qwen2 followed by ByteLevel");
        JsonElement steps = sequence.Array("pretokenizers") ?? throw sequence.Missing("pretokenizers", "an array");
        string names = string.Join(", ", steps.EnumerateArray().Select(step => step.ValueKind == JsonValueKind.Object ? Type(new JsonKeys(step, root.Path)) : "?"));
        if (names != "Split, ByteLevel")
            throw Unsupported(root, "pre_tokenizer", $"is a sequence of {names}; supported is the split of Qwen2 followed by ByteLevel");

        var split = new JsonKeys(steps[0], root.Path, "pre_tokenizer.pretokenizers[0].");
        string? pattern = split.Object("pattern")?.Text("Regex");
        if (pattern != Qwen2Splitter.Pattern)
            throw Unsupported(split, "pattern", $"is {split.Find("pattern")?.GetRawText() ?? "missing"}; supported is the regular expression of Qwen2");
        if (split.Text("behavior") != "Isolated" || split.Boolean("invert", false))
            throw Unsupported(split, "behavior", "must be Isolated and not inverted");

        var bytes = new JsonKeys(steps[1], root.Path, "pre_tokenizer.pretokenizers[1].");
        if (bytes.Boolean("add_prefix_space", true) || bytes.Boolean("use_regex", true))
            throw Unsupported(bytes, "add_prefix_space", "and use_regex must be false");
    }

    private static void CheckByteLevel(JsonKeys root, string key)
    {
        string type = root.Object(key) is { } step ? Type(step) : "missing";
        if (type != "ByteLevel")
            throw Unsupported(root, key, $"is {type}; supported is ByteLevel");
    }

    private static string Type(JsonKeys step) => step.Text("type") ?? "without a type";

    private static ModelFormatException Unsupported(JsonKeys keys, string key, string problem) =>
        keys.Error(key, DiagnosticCodes.TokenizerUnsupported, $"{problem}. ModelSdk reads the tokenizers of Qwen2 and Qwen2.5.");
}
