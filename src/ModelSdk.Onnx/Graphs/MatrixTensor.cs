using ModelSdk.Manifest;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Graphs;

/// <summary>A stored [rows, columns] matrix that a graph multiplies by.</summary>
/// <param name="Data">Codes in MatMulNBits' layout, or float32 [rows, columns].</param>
/// <param name="Scales">Scales of the codes; null for float32.</param>
/// <param name="Location">The file, relative to the graph's folder.</param>
/// <param name="Rows">Output features, N.</param>
/// <param name="Columns">Input features, K.</param>
/// <param name="Format">How the values are stored.</param>
/// <param name="Block">Columns that share a scale.</param>
internal sealed record MatrixTensor(BundleTensor Data, BundleTensor? Scales, string Location, int Rows, int Columns, WeightFormat Format, int Block);
