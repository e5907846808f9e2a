namespace ModelSdk.Onnx.Quantization;

/// <summary>Quantizes some rows of a matrix.</summary>
/// <param name="name">Tensor's name, for messages.</param>
/// <param name="weights">Row-major [rows, columns].</param>
/// <param name="columns">Input features.</param>
/// <param name="data">Receives the codes.</param>
/// <param name="scales">Receives the scales.</param>
/// <param name="firstRow">Row of the tensor that <paramref name="weights"/> starts at.</param>
internal delegate void RowSolver(string name, ReadOnlyMemory<float> weights, int columns, Memory<byte> data, Memory<float> scales, int firstRow);
