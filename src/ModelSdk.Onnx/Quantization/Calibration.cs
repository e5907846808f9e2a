namespace ModelSdk.Onnx.Quantization;

/// <summary>What solvers know of the inputs of linears.</summary>
/// <param name="Layers">Of each layer.</param>
/// <param name="Grams">Gives the sums of x x^T of a layer; asked for once a layer, in order. Null: they were not collected.</param>
public sealed record Calibration(IReadOnlyList<LayerActivations> Layers, Func<int, LayerGrams>? Grams);
