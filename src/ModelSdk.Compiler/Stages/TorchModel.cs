using ModelSdk.Onnx.Quantization;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>The quantized base in Torch: its weights as the kernels see them, computed at full precision.</summary>
internal static class TorchModel
{
    public static Transformer Load(QuantizedModel model, ComputeOptions? compute = null)
    {
        TorchLibrary.EnsureLoaded();
        return Transformer.Load(model.Architecture, model.ReadDequantized, trainable: false, compute ?? ComputeOptions.Full);
    }
}
