namespace ModelSdk.Onnx.Graphs;

/// <summary>An adapter's constants of one fused linear.</summary>
/// <param name="A">[modules * rank, in]: the modules' A on top of each other.</param>
/// <param name="B">[rows, rank] of each module; in full precision one matrix with these as blocks on its diagonal.</param>
internal sealed record AdapterLinear(MatrixTensor A, MatrixTensor[] B);
