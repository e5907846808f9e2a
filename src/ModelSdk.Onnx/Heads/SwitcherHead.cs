using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Heads;

/// <summary>The switcher's head (paper, section 3): logits = W2 relu(W1 x + b1) + b2 of the pooled hidden state x [D]. One output a mode, M in all: the base, then the adapters in the manifest's order.</summary>
/// <param name="W1">Row-major [h, D].</param>
/// <param name="B1">[h].</param>
/// <param name="W2">Row-major [M, h].</param>
/// <param name="B2">[M].</param>
public sealed record SwitcherHead(float[] W1, float[] B1, float[] W2, float[] B2)
{
    /// <summary>The file inside a head's folder.</summary>
    public const string FileName = "switcher.safetensors";

    /// <summary>Width of the hidden layer, h.</summary>
    public int HiddenSize => B1.Length;

    /// <summary>Width of what is read, D.</summary>
    public int InputSize => B1.Length == 0 ? 0 : W1.Length / B1.Length;

    /// <summary>The head's outputs, [M]; the same formula as the graph's, for tests and for evaluation in Torch.</summary>
    /// <param name="pooled">[D].</param>
    public double[] Logits(ReadOnlySpan<float> pooled)
    {
        var logits = new double[B2.Length];
        for (int m = 0; m < B2.Length; m++)
            logits[m] = B2[m];
        for (int i = 0; i < B1.Length; i++)
        {
            double sum = B1[i];
            for (int d = 0; d < pooled.Length; d++)
                sum += (double)W1[(i * pooled.Length) + d] * pooled[d];
            for (int m = 0; m < B2.Length; m++)
                logits[m] += W2[(m * B1.Length) + i] * Math.Max(0, sum);
        }

        return logits;
    }

    /// <summary>Writes switcher.safetensors (float32). The same head gives the same bytes.</summary>
    /// <param name="folder">Created when missing.</param>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        SafetensorsWriter.Write(
            Path.Combine(folder, FileName),
            [
                new TensorData("hidden.weight", TensorDType.F32, [HiddenSize, InputSize], W1),
                new TensorData("hidden.bias", TensorDType.F32, [HiddenSize], B1),
                new TensorData("output.weight", TensorDType.F32, [B2.Length, HiddenSize], W2),
                new TensorData("output.bias", TensorDType.F32, [B2.Length], B2),
            ]);
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <param name="folder">Holds switcher.safetensors.</param>
    /// <exception cref="ExportException">MDL4013: the tensors do not fit together.</exception>
    /// <exception cref="ModelFormatException">The file is missing or damaged.</exception>
    public static SwitcherHead Load(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, FileName));
        SwitcherHead head = new(
            file.ReadFloats("hidden.weight"),
            file.ReadFloats("hidden.bias"),
            file.ReadFloats("output.weight"),
            file.ReadFloats("output.bias"));
        head.Check();
        return head;
    }

    /// <summary>Refuses a head whose parts do not fit together or are not numbers.</summary>
    /// <exception cref="ExportException">MDL4013.</exception>
    internal void Check()
    {
        if (B1.Length == 0 || B2.Length < 2 || W2.Length != B1.Length * B2.Length || W1.Length == 0 || W1.Length % B1.Length != 0)
            throw new ExportException(DiagnosticCodes.HeadInvalid, $"The switcher's head has {W1.Length}, {B1.Length}, {W2.Length} and {B2.Length} values, which do not fit together. Train the switcher again.");
        VerifierHead.CheckFinite("switcher", W1, B1, W2, B2);
    }
}
