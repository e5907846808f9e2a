using System.CommandLine;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc export MANIFEST --out DIR</c>: the adapters of a compiled manifest in PEFT's layout, as activated LoRA on the original base.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        Argument<string> manifest = Options.Manifest();
        Option<string> output = new("--out") { HelpName = "DIR", Description = "Folder that gets a folder for each adapter.", Required = true };
        Option<string?> store = Options.Store();
        Option<string?> json = Options.Json();
        Command command = new("export", "Write the adapters of a compiled manifest in PEFT's layout.") { manifest, output, store, json };
        command.SetAction(parsed =>
        {
            CompilerLog log = Options.TextLog();
            return CommandLine.GuardAsync(log, exitWithStandardInput: false, cancellationToken =>
            {
                CompileInputs? inputs = CompileInputs.Read(parsed.GetValue(manifest)!, log, cancellationToken);
                if (inputs is null)
                {
                    return Task.CompletedTask;
                }

                ArtifactStore opened = Options.OpenStore(parsed.GetValue(store));
                CompilePlan plan = CompilePlan.Create(inputs);
                JsonArray written = [];
                foreach (PlannedStage stage in plan.Sft)
                {
                    PlannedStage shipped = plan.Budget.FirstOrDefault(b => b.Adapter == stage.Adapter) ?? stage;
                    if (opened.TryRead(shipped.Key) is not StoreEntry entry || opened.TryRead(plan.Quantize.Key) is not StoreEntry quantized)
                    {
                        throw new CompilerException(
                            DiagnosticCodes.AdapterNotCompiled,
                            $"The adapter {stage.Adapter} is not in the store {opened.Root} as the manifest describes it now. Run `modelc compile` first.",
                            inputs.ManifestPath);
                    }

                    LoraAdapter original = QuantizedModel.Open(quantized.Folder).ToOriginal(LoraAdapter.Load(entry.Folder));
                    string folder = Path.Combine(Path.GetFullPath(parsed.GetValue(output)!), stage.Adapter!);
                    (original with { BaseDigest = inputs.WeightsDigest }).Save(folder);
                    log.Say($"{stage.Adapter}: {folder}");
                    written.Add(new JsonObject { ["adapter"] = stage.Adapter, ["folder"] = folder });
                }

                JsonOutput.Write(parsed.GetValue(json), new JsonObject { ["adapters"] = written });
                return Task.CompletedTask;
            });
        });
        return command;
    }
}
