using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc inspect BUNDLE</c>: what a compiled model consists of, after checking every byte of it.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<string?> json = Options.Json();
        Command command = new("inspect", "Verify a compiled model and show what it consists of.") { bundle, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, cancellationToken =>
        {
            string folder = Path.GetFullPath(parsed.GetValue(bundle)!);
            BundleManifest manifest = BundleManifest.Read(folder);
            BundleVerifier.Verify(folder, manifest, cancellationToken: cancellationToken);
            string? target = parsed.GetValue(json);
            if (target != "-")
            {
                Print(manifest);
            }

            JsonObject result = JsonNode.Parse(manifest.ToJson())!.AsObject();
            result["verified"] = true;
            result["folder"] = folder;
            JsonOutput.Write(target, result);
            return Task.CompletedTask;
        }));
        return command;
    }

    private static void Print(BundleManifest manifest)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        TransformerConfig shape = manifest.Architecture;
        long bytes = manifest.Files.Values.Sum(f => f.Bytes);
        BundleQuantization weights = manifest.Quantization;
        string solved = weights.BitsPerWeight is double bits ? string.Create(culture, $"{bits:0.##} bits per weight ({weights.Quality}), ") : "";
        string quantization = weights.Weights == "none"
            ? "none (full precision)"
            : string.Create(culture, $"{weights.Weights}, block {weights.Block}, {solved}embeddings {weights.Embeddings}");
        List<(string Name, string Value)> lines =
        [
            ("name", manifest.Name),
            ("digest", $"{manifest.Digest} (verified)"),
            ("compiler", manifest.Compiler),
            ("shape", $"{shape.Type}, {shape.Layers} layers, hidden {shape.HiddenSize}, heads {shape.Heads}/{shape.KeyValueHeads}, vocabulary {shape.VocabularySize}"),
            ("weights", quantization),
            ("keys and values", string.Create(culture, $"{manifest.Quantization.KeyValueCache ?? "fp32"}, {manifest.CacheBytesPerToken} bytes a token, {manifest.CacheBytesPerToken * manifest.Context / 1e6:F2} MB a sequence")),
            ("context", $"{manifest.Context} tokens"),
            ("modes", string.Join(", ", (manifest.Switcher is null ? manifest.Modes : [.. manifest.Modes, BundleManifest.AutoMode]).Select(m => m == manifest.DefaultMode ? m + " (default)" : m))),
            ("budgets", manifest.Budgets.Count == 0 ? "none" : string.Join(", ", manifest.Budgets.Select(b => string.Create(culture, $"{b.Name} {b.Tokens}")))),
            ("answer", manifest.Answer.Choices is { Count: > 0 } choices ? $"{manifest.Answer.Type}: {string.Join(", ", choices)}" : manifest.Answer.Type),
            ("size", string.Create(culture, $"{bytes / 1e6:F2} MB in {manifest.Files.Count} files")),
        ];
        lines.AddRange(manifest.Measured.OrderBy(m => m.Key, StringComparer.Ordinal).Select(m =>
            ($"measured {m.Key}", string.Create(culture, $"{m.Value.Accuracy * 100:F1}% right, {m.Value.MeanTokens:F1} tokens, {m.Value.Examples} questions"))));
        foreach ((string name, string value) in lines)
        {
            Console.WriteLine($"{name,-22} {value}");
        }

        foreach ((string file, BundleFile stored) in manifest.Files.OrderBy(f => f.Key, StringComparer.Ordinal))
        {
            Console.WriteLine(string.Create(culture, $"  {stored.Bytes,12}  {stored.Sha256[..12]}  {file}"));
        }
    }
}
