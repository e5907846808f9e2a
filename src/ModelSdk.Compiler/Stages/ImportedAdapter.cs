using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// An adapter that was trained elsewhere takes the place of supervised fine-tuning. What follows on it, such as budget forcing, starts from
/// what was imported.
/// </summary>
internal static class ImportedAdapter
{
    private const int Version = 1;

    /// <summary>The files of an adapter's folder that are read; also a pickle, so that it can be refused by its name.</summary>
    public static IEnumerable<string> Files(string folder) =>
        ((string[])["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]).Select(name => Path.Combine(folder, name)).Where(File.Exists);

    public static StageKey Key(CompileInputs inputs, AdapterSettings adapter, StageKey quantize)
    {
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Sft, Version).Add("quantize", quantize).Add("import", "peft");
        foreach (InputFile file in inputs.Imports[adapter.Name])
        {
            key.Add(Path.GetFileName(file.Path), file.Sha256);
        }

        return key.AddText(inputs).Build();
    }

    /// <summary>Reads an adapter and checks it against the base and the tokens from which adapters run here.</summary>
    /// <returns>A warning where it was trained on prompts too; else null.</returns>
    /// <exception cref="Onnx.ExportException">MDL4010 to MDL4012: it is damaged, asks for what is not supported, or belongs to another base.</exception>
    public static string? Check(CompileInputs inputs, AdapterSettings adapter, string folder, PromptEncoder encoder)
    {
        LoraAdapter lora = LoraAdapter.Load(folder);
        AdapterFit.Check(lora, inputs.Architecture, inputs.WeightsDigest);
        int[] generation = encoder.GenerationPrompt();
        if (lora.InvocationTokens.Count == 0)
        {
            return $"The imported adapter {adapter.Name} states no alora_invocation_tokens, so it was trained on prompts too. The runtime runs adapters from the generation prompt on only, where it works worse than its training says.";
        }

        return lora.InvocationTokens.SequenceEqual(generation)
            ? null
            : throw new Onnx.ExportException(
                DiagnosticCodes.AdapterDoesNotFit,
                $"The imported adapter {adapter.Name} is activated by the tokens [{string.Join(", ", lora.InvocationTokens)}], but the runtime activates adapters at the generation prompt [{string.Join(", ", generation)}]. Train it with alora_invocation_tokens = [{string.Join(", ", generation)}].");
    }

    /// <summary>Moves the checked adapter onto the quantized base, into the entry that training would have made.</summary>
    public static void Run(AdapterSettings adapter, StoreEntry resolved, StoreEntry quantized, StageFolders folders, Action<string, double> progress)
    {
        LoraAdapter lora = QuantizedModel.Open(quantized.Folder).FromOriginal(LoraAdapter.Load(resolved.File(ResolveStage.ImportFolder(adapter.Name))));
        lora.Save(folders.Output);
        new TrainingSummary(0, 0, []).Write(Path.Combine(folders.Output, TrainingSummary.FileName));
        progress($"imported, rank {lora.Rank}, {lora.Linears.Count} linears", 1);
    }
}
