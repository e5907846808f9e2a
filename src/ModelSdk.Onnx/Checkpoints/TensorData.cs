namespace ModelSdk.Onnx.Checkpoints;

/// <summary>A tensor to write to a safetensors file.</summary>
/// <param name="Name">Name of the tensor.</param>
/// <param name="DType">Element type in the file; values are rounded to nearest, ties to even.</param>
/// <param name="Shape">Dimensions, outermost first; their product is the count of values.</param>
/// <param name="Values">The values, row-major.</param>
public sealed record TensorData(string Name, TensorDType DType, long[] Shape, ReadOnlyMemory<float> Values);
