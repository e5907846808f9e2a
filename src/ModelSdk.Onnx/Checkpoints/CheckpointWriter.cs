using System.Text.Json;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Writes config.json and model.safetensors of a model in Hugging Face layout.</summary>
public static class CheckpointWriter
{
    /// <summary>Writes both files; the same weights give the same bytes.</summary>
    /// <param name="folder">Folder to write to; made where it does not exist.</param>
    /// <param name="config">Shape of the model.</param>
    /// <param name="read">Gives the values of a tensor by its Hugging Face name, row-major.</param>
    /// <param name="type">Element type in the file.</param>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static void Write(string folder, TransformerConfig config, Func<string, float[]> read, TensorDType type = TensorDType.BF16)
    {
        Directory.CreateDirectory(folder);
        SafetensorsWriter.Write(
            Path.Combine(folder, Checkpoint.SingleFile),
            Qwen2Tensors.Of(config).Select(t => new TensorData(t.Name, type, t.Shape, read(t.Name))));
        WriteConfig(Path.Combine(folder, "config.json"), config, type);
    }

    /// <summary>Writes config.json.</summary>
    internal static void WriteConfig(string path, TransformerConfig config, TensorDType type)
    {
        using FileStream stream = File.Create(path);
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        json.WriteStartObject();
        json.WriteStartArray("architectures");
        json.WriteStringValue("Qwen2ForCausalLM");
        json.WriteEndArray();
        json.WriteString("model_type", config.Type);
        json.WriteNumber("vocab_size", config.VocabularySize);
        json.WriteNumber("hidden_size", config.HiddenSize);
        json.WriteNumber("intermediate_size", config.IntermediateSize);
        json.WriteNumber("num_hidden_layers", config.Layers);
        json.WriteNumber("num_attention_heads", config.Heads);
        json.WriteNumber("num_key_value_heads", config.KeyValueHeads);
        if (config.QuerySize != config.HiddenSize)
            json.WriteNumber("head_dim", config.HeadSize);
        json.WriteNumber("max_position_embeddings", config.MaxPositions);
        json.WriteNumber("rope_theta", config.RopeTheta);
        json.WriteNumber("rms_norm_eps", config.RmsNormEpsilon);
        json.WriteBoolean("tie_word_embeddings", config.TiedEmbeddings);
        json.WriteBoolean("use_sliding_window", false);
        json.WriteString("hidden_act", "silu");
        json.WriteString("torch_dtype", type switch { TensorDType.BF16 => "bfloat16", TensorDType.F16 => "float16", _ => "float32" });
        json.WriteEndObject();
    }
}
