using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Store;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc import PEFT_DIR --base DIR</c>: checks an adapter of PEFT against a base, shows what it is, and writes it as modelc reads it.</summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        Argument<string> adapter = new("PEFT_DIR") { Description = "Folder with adapter_config.json and adapter_model.safetensors." };
        Option<string> model = new("--base") { HelpName = "DIR", Description = "Folder of the base model in Hugging Face layout.", Required = true };
        Option<string?> output = new("--out") { HelpName = "DIR", Description = "Write the adapter here, with one rank and scale for all linears and the digest of the base." };
        Option<string?> json = Options.Json();
        Command command = new("import", "Check a LoRA adapter in PEFT's layout against a base.") { adapter, model, output, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, cancellationToken =>
        {
            LoraAdapter lora = LoraAdapter.Load(Path.GetFullPath(parsed.GetValue(adapter)!));
            using Checkpoint checkpoint = Checkpoint.Open(Path.GetFullPath(parsed.GetValue(model)!));
            AdapterFit.Check(lora, checkpoint.Config);
            List<(string Name, string Sha256)> weights = [];
            foreach (string file in checkpoint.Files)
            {
                cancellationToken.ThrowIfCancellationRequested();
                weights.Add((Path.GetRelativePath(checkpoint.Folder, file).Replace('\\', '/'), FileDigest.Sha256(file)));
            }

            string digest = AdapterFit.DigestOf(weights);
            AdapterFit.Check(lora, checkpoint.Config, digest);
            if (parsed.GetValue(output) is string folder)
            {
                (lora with { BaseDigest = digest }).Save(Path.GetFullPath(folder));
            }

            string? target = parsed.GetValue(json);
            if (target != "-")
            {
                Print(lora, checkpoint.Config.Layers);
            }

            JsonOutput.Write(target, new JsonObject
            {
                ["rank"] = lora.Rank,
                ["alpha"] = lora.Alpha,
                ["targets"] = new JsonArray([.. lora.Targets.Select(t => (JsonNode)t)]),
                ["linears"] = lora.Linears.Count,
                ["invocationTokens"] = new JsonArray([.. lora.InvocationTokens.Select(t => (JsonNode)t)]),
                ["baseModel"] = lora.BaseModel,
                ["baseDigest"] = digest,
                ["stated"] = lora.BaseDigest is not null,
            });
            return Task.CompletedTask;
        }));
        return command;
    }

    private static void Print(LoraAdapter lora, int layers)
    {
        string active = lora.InvocationTokens.Count == 0 ? "on every token" : $"from tokens [{string.Join(", ", lora.InvocationTokens)}] on";
        (string Name, string Value)[] lines =
        [
            ("rank", lora.Rank.ToString(CultureInfo.InvariantCulture)),
            ("alpha", lora.Alpha.ToString("G9", CultureInfo.InvariantCulture)),
            ("linears", $"{lora.Linears.Count} in {layers} layers: {string.Join(", ", lora.Targets)}"),
            ("active", active),
            ("base", lora.BaseDigest is null ? "its linears fit; the adapter does not state which weights it was trained on" : "its linears fit, and it is the one that the adapter states"),
        ];
        foreach ((string name, string value) in lines)
        {
            Console.WriteLine($"{name,-10} {value}");
        }
    }
}
