using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;

namespace ModelSdk.Compiler.Stages;

/// <summary>Opens the engine that trainings sample from: the deployed graph over the quantized base, with the LoRA as an input.</summary>
internal static class RolloutGraph
{
    /// <summary>Writes the graph beside the stage's checkpoints and loads it.</summary>
    /// <param name="inputs">What is compiled.</param>
    /// <param name="resolved">The base's small files.</param>
    /// <param name="model">The quantized base.</param>
    /// <param name="adapter">The first adapter; later ones have its shape.</param>
    /// <param name="encoder">The base's tokenizer.</param>
    /// <param name="folders">Where the stage may write.</param>
    public static RolloutEngine Open(CompileInputs inputs, StoreEntry resolved, QuantizedModel model, LoraAdapter adapter, PromptEncoder encoder, StageFolders folders) => new(
        model,
        Path.Combine(folders.Work, "rollout"),
        adapter,
        new GraphOptions { Context = inputs.Context },
        Format(inputs, resolved, model, encoder));

    private static OutputFormat Format(CompileInputs inputs, StoreEntry resolved, QuantizedModel model, PromptEncoder encoder)
    {
        ModelManifest manifest = inputs.Manifest;
        return new OutputFormat(
            encoder.Tokenizer,
            new BundlePrompt(manifest.Prompt.System, manifest.Prompt.Budget, manifest.Prompt.ThinkOpen, manifest.Prompt.ThinkClose, manifest.Prompt.ForceAnswer),
            manifest.AnswerTokens,
            EndTokens.Of(resolved.File(ResolveStage.BaseFolder), encoder),
            model.Architecture.VocabularySize);
    }
}
