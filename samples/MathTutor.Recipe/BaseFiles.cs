using MathTutor.Recipe.Pretraining;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training;

namespace MathTutor.Recipe;

/// <summary>The base's shape and its checkpoint in Hugging Face layout.</summary>
internal static class BaseFiles
{
    private const int HeadSize = 32;
    private const int QueryHeadsPerKeyValueHead = 3;

    /// <summary>Qwen2 with heads of 32, three query heads to a key/value head, tied embeddings.</summary>
    public static TransformerConfig Config(PretrainingOptions options, int vocabulary) => new(
        Type: "qwen2",
        VocabularySize: vocabulary,
        HiddenSize: options.Width,
        IntermediateSize: options.FeedForward,
        Layers: options.Layers,
        Heads: options.Width / HeadSize,
        KeyValueHeads: options.Width / HeadSize / QueryHeadsPerKeyValueHead,
        HeadSize: HeadSize,
        MaxPositions: options.Context,
        RopeTheta: 10000,
        RmsNormEpsilon: 1e-6,
        TiedEmbeddings: true);

    /// <summary>Number of parameters.</summary>
    public static long Count(Transformer model) => model.Parameters.Sum(p => p.Value.numel());

    /// <summary>Writes config.json and model.safetensors in bf16.</summary>
    public static void Write(Transformer model, string folder)
    {
        var tensors = model.Export().ToDictionary(t => t.Name, t => t.Values);
        CheckpointWriter.Write(folder, model.Config, name => tensors[name]);
    }
}
