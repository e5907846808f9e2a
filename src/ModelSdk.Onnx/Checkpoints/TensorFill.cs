namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Gives a run of a tensor's elements, row-major.</summary>
/// <param name="name">The tensor.</param>
/// <param name="start">Index of the first element in the flattened tensor.</param>
/// <param name="values">Receives the elements; all of it must be filled.</param>
public delegate void TensorFill(string name, long start, Span<float> values);
