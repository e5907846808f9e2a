namespace ModelSdk.Onnx.Export;

/// <summary>
/// Logits that an exported mode is compared with, computed elsewhere (Torch on <see cref="Quantization.QuantizedModel.ReadDequantized"/>
/// and <see cref="Graphs.GraphExporter.AsDeployed"/>).
/// </summary>
/// <param name="Mode">"base" or an adapter's name.</param>
/// <param name="Tokens">The sequence, at most the context.</param>
/// <param name="Start">First token that the mode itself runs; those before it are encoded by the base (masked LoRA). 0 for the base.</param>
/// <param name="Logits">Logits of the tokens from <paramref name="Start"/> on, row-major [T - start, V].</param>
public sealed record ReferenceLogits(string Mode, int[] Tokens, int Start, float[] Logits);
