using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Genai;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <content>The graph for onnxruntime-genai.</content>
public static partial class ExportVerifier
{
    /// <summary>
    /// Checks genai.onnx, run as onnxruntime-genai runs it: without an adapter it computes what the base graph computes, with each adapter's file what the
    /// adapter's graph computes. Of a model that is too large to run (see <see cref="Verify(QuantizedModel, string, IReadOnlyList{BundleAdapter}, GraphOptions, IReadOnlyList{ReferenceLogits}, VerificationBounds?, CancellationToken)"/>) the graph is loaded.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="folder">Holds all graphs; weights.bin may lie elsewhere.</param>
    /// <param name="adapters">What <see cref="GraphExporter.WriteAdapter"/> returned.</param>
    /// <param name="options">The options that the graphs were written with.</param>
    /// <param name="bounds">Allowed differences; null = the defaults.</param>
    /// <exception cref="ExportException">MDL4030: a difference is out of bounds. MDL4031: ONNX Runtime refuses the graph or an adapter's file.</exception>
    public static VerificationReport VerifyGenai(QuantizedModel model, string folder, IReadOnlyList<BundleAdapter> adapters, GraphOptions options, VerificationBounds? bounds = null)
    {
        bounds ??= new VerificationBounds();
        TransformerConfig config = model.Architecture;
        string graph = Path.Combine(folder, GraphExporter.GenaiGraphName);
        using var placeholder = new WeightFilePlaceholder(folder);
        using var mapped = new MappedWeights(model);
        var checks = new Checks();
        if (LayersWithin(model, MostBytes) < config.Layers)
        {
            GraphRunner.CheckLoads(graph, mapped);
            return new VerificationReport(checks.Done);
        }

        // genai's passes are cut otherwise than ours, and its cache is float32: where activations or the cache are rounded, last-bit differences flip roundings.
        double bound = IsExact(model, options) ? bounds.SameWeightsExact : bounds.SameWeightsRounded;
        int[] tokens = Tokens(config, Math.Min(MaxTokens, options.Context));
        using InferenceSession session = GraphRunner.Open(graph, mapped, prepack: true, plain: true);
        Check(BundleManifest.BaseMode, GraphExporter.BaseGraphName, null, "genai graph = base graph");
        foreach (BundleAdapter adapter in adapters)
            Check(adapter.Name, adapter.Graph, Path.Combine(folder, GenaiAdapterFile.PathOf(adapter.Name)), "genai graph with the adapter's file = adapter graph");
        return new VerificationReport(checks.Done);

        void Check(string mode, string own, string? file, string name)
        {
            using var runner = new GraphRunner(Path.Combine(folder, own), config, mapped, plain: true);
            using KeyValueCache cache = runner.NewCache(1, tokens.Length);
            checks.Add(mode, name, All(runner, tokens, cache), Genai(session, config, tokens, file), config.VocabularySize, bound, 0);
        }
    }

    /// <summary>Logits of all tokens [T, V]: the first half in one pass, the others one by one.</summary>
    private static float[] Genai(InferenceSession session, TransformerConfig config, int[] tokens, string? adapterFile)
    {
        try
        {
            using var run = new RunOptions();
            using OrtLoraAdapter? adapter = adapterFile is null ? null : OrtLoraAdapter.Create(adapterFile, null);
            if (adapter is not null)
                run.AddActiveLoraAdapter(adapter);
            string[] parts = [.. Enumerable.Range(0, 2 * config.Layers).Select(i => string.Create(CultureInfo.InvariantCulture, $"{i / 2}.{(i % 2 == 0 ? "key" : "value")}"))];
            OrtValue[] cache = [.. parts.Select(_ => OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, config.KeyValueHeads, tokens.Length, config.HeadSize]))];
            try
            {
                List<float> logits = [];
                for (int start = 0, end = tokens.Length / 2; start < tokens.Length; start = end++)
                {
                    var chosen = new float[(end - start) * config.VocabularySize];
                    using OrtValue ids = OrtValue.CreateTensorValueFromMemory(tokens[start..end].Select(t => (long)t).ToArray(), [1, end - start]);
                    using OrtValue mask = OrtValue.CreateTensorValueFromMemory(Enumerable.Repeat(1L, end).ToArray(), [1, end]);
                    using OrtValue output = OrtValue.CreateTensorValueFromMemory(chosen, [1, end - start, config.VocabularySize]);
                    session.Run(
                        run,
                        ["input_ids", "attention_mask", .. parts.Select(p => "past_key_values." + p)],
                        [ids, mask, .. cache],
                        ["logits", .. parts.Select(p => "present." + p)],
                        [output, .. cache]);
                    logits.AddRange(chosen);
                }

                return [.. logits];
            }
            finally
            {
                foreach (OrtValue value in cache)
                    value.Dispose();
            }
        }
        catch (OnnxRuntimeException e)
        {
            throw new ExportException(DiagnosticCodes.ExportedGraphRejected, $"ONNX Runtime does not run {GraphExporter.GenaiGraphName}{(adapterFile is null ? "" : $" with {Path.GetFileName(adapterFile)}")}: {e.Message}", e);
        }
    }
}
