using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Graphs;

/// <summary>What a graph has beside the base's layers. With neither switcher nor verifier it ends in the LM head.</summary>
/// <param name="Adapter">An adapter's tensors.</param>
/// <param name="LoraInputs">Fused linears whose LoRA is an input of the graph; see <see cref="Graphs.LoraInputs"/>.</param>
/// <param name="Switcher">The head on the prompt's pooled hidden state, in place of the LM head.</param>
/// <param name="Verifier">The head on the hidden states of the chosen positions, in place of the LM head.</param>
/// <param name="Encoder">Whether it ends with the last layer's keys and values: a graph that encodes prompts beside a quantized cache.</param>
/// <param name="Genai">Whether inputs and outputs are those of onnxruntime-genai.</param>
/// <param name="Hidden">Whether "logits" are the final hidden states themselves, [P, D]; to verify the heads with.</param>
internal sealed record GraphParts(AdapterTensors? Adapter = null, IReadOnlySet<string>? LoraInputs = null, SwitcherHead? Switcher = null, VerifierHead? Verifier = null, bool Encoder = false, bool Genai = false, bool Hidden = false)
{
    /// <summary>Width of "logits".</summary>
    /// <param name="config">Shape of the transformer.</param>
    public int Outputs(TransformerConfig config) => Hidden ? config.HiddenSize : Verifier is null ? config.VocabularySize : 1;
}
