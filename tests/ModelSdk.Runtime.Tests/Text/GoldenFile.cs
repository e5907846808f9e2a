using System.Text.Json;

namespace ModelSdk.Runtime.Tests.Text;

/// <summary>What the Hugging Face tokenizers library made of many texts; written by Golden/make-golden.js.</summary>
internal sealed record GoldenFile(string Nfc, string Pieces, IReadOnlyList<GoldenFile.Encoding> Cases, IReadOnlyList<GoldenFile.Decoding> Decodes)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "Text", "Golden");

    public static string TokenizerPath { get; } = Path.Combine(Folder, "tokenizer.json");

    public static GoldenFile Load() =>
        JsonSerializer.Deserialize<GoldenFile>(File.ReadAllText(Path.Combine(Folder, "golden.json")), Options)!;

    internal sealed record Encoding(string Text, int[] Ids, int[]? IgnoringMerges, string? Decoded, string? Skipped);

    internal sealed record Decoding(int[] Ids, string? Decoded, string? Skipped);
}
