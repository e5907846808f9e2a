using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Heads;

/// <summary>The verifier's head (paper, section 5): logit of P(correct) = W x + bias of the hidden state x [D] behind the verification prompt's last token.</summary>
/// <param name="W">[D].</param>
/// <param name="Bias">Constant.</param>
/// <param name="Lora">An adapter of the verifier's own, active on the verification prompt alone; null: the adapter that answered runs it.</param>
/// <param name="Confidence">What the generator's own confidence adds to the logit (ours); null: the hidden state alone.</param>
public sealed record VerifierHead(float[] W, float Bias, LoraAdapter? Lora = null, BundleConfidence? Confidence = null)
{
    /// <summary>The file inside a head's folder.</summary>
    public const string FileName = "verifier.safetensors";

    private const string LoraFolder = "lora";
    private const string ConfidenceTensor = "confidence.weight";

    /// <summary>Writes verifier.safetensors (float32), and lora/ in PEFT's layout where it has one. The same head gives the same bytes.</summary>
    /// <param name="folder">Created when missing.</param>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        List<TensorData> tensors =
        [
            new TensorData("output.weight", TensorDType.F32, [1, W.Length], W),
            new TensorData("output.bias", TensorDType.F32, [1], new[] { Bias }),
        ];
        if (Confidence is not null)
            tensors.Add(new TensorData(ConfidenceTensor, TensorDType.F32, [1, 2], new[] { (float)Confidence.Least, (float)Confidence.Mean }));
        SafetensorsWriter.Write(Path.Combine(folder, FileName), tensors);
        Lora?.Save(Path.Combine(folder, LoraFolder));
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <param name="folder">Holds verifier.safetensors.</param>
    /// <exception cref="ExportException">MDL4013: the tensors do not fit together; MDL4010, MDL4011: the LoRA cannot be read.</exception>
    /// <exception cref="ModelFormatException">The file is missing or damaged.</exception>
    public static VerifierHead Load(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, FileName));
        float[] bias = file.ReadFloats("output.bias");
        if (bias.Length != 1)
            throw new ExportException(DiagnosticCodes.HeadInvalid, $"The verifier's head has {bias.Length} outputs instead of one. Train the verifier again.");
        string lora = Path.Combine(folder, LoraFolder);
        VerifierHead head = new(file.ReadFloats("output.weight"), bias[0], Directory.Exists(lora) ? LoraAdapter.Load(lora) : null);
        if (file.Tensors.ContainsKey(ConfidenceTensor))
        {
            float[] weights = file.ReadFloats(ConfidenceTensor);
            if (weights.Length != 2)
                throw new ExportException(DiagnosticCodes.HeadInvalid, $"The verifier's head has {weights.Length} weights of the confidence instead of 2. Train the verifier again.");
            CheckFinite("verifier", weights);
            head = head with { Confidence = new BundleConfidence(weights[0], weights[1]) };
        }

        CheckFinite("verifier", head.W, bias);
        return head;
    }

    /// <summary>Refuses values that are not numbers.</summary>
    internal static void CheckFinite(string name, params ReadOnlySpan<float[]> parts)
    {
        foreach (float[] part in parts)
        {
            if (part.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
                throw new ExportException(DiagnosticCodes.HeadInvalid, $"The {name}'s head holds values that are not numbers; its training diverged. Lower its learning rate.");
        }
    }
}
