using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;

namespace ModelSdk.Onnx.Graphs;

/// <summary>The LoRA inputs of a rollout graph: one A and one B a fused linear, laid out as <see cref="AdapterTensors"/> does, but float32 and for x A B.</summary>
internal static class LoraInputs
{
    /// <summary>Input [in, R]: the modules' A, transposed, side by side.</summary>
    public static string A(string fused) => $"{fused}.lora_A.weight";

    /// <summary>Input [R, out]: the modules' B, transposed, as blocks on the diagonal, times alpha / r.</summary>
    public static string B(string fused) => $"{fused}.lora_B.weight";

    /// <summary>Names of the fused linears that hold a target.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="targets">Short names, e.g. "q_proj".</param>
    /// <exception cref="ExportException">MDL4012: the model has no such linear.</exception>
    public static IReadOnlySet<string> Linears(QuantizedModel model, IEnumerable<string> targets)
    {
        var linears = new HashSet<string>(StringComparer.Ordinal);
        foreach (string target in targets)
        {
            string? fused = TensorNames.Linears.Where(l => l.Modules.Any(m => m.EndsWith("." + target, StringComparison.Ordinal))).Select(l => l.Fused).FirstOrDefault();
            if (fused is null)
                throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"\"{target}\" is no linear of this base. Use the names of its linears, for instance \"q_proj\".");
            for (int layer = 0; layer < model.Architecture.Layers; layer++)
                linears.Add(TensorNames.Layer(layer, fused));
        }

        return linears;
    }
}
