using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Export;

/// <content>The graphs with heads of their own, and the graph for rollouts.</content>
public static partial class ExportVerifier
{
    /// <summary>
    /// Checks prefill.onnx: the pooled state is the weighted sum of the base's final hidden states, in chunks as in one pass, and the outputs are
    /// the head's on it.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="folder">Holds the graph; weights.bin may lie elsewhere.</param>
    /// <param name="head">The head that it was written with.</param>
    /// <param name="options">The options that it was written with.</param>
    /// <param name="bounds">Allowed differences; null = the defaults.</param>
    /// <exception cref="ExportException">MDL4030: a difference is out of bounds. MDL4031: ONNX Runtime refuses a graph.</exception>
    public static VerificationReport VerifySwitcher(QuantizedModel model, string folder, SwitcherHead head, GraphOptions options, VerificationBounds? bounds = null)
    {
        bounds ??= new VerificationBounds();
        double sameWeights = IsExact(model, options) ? bounds.SameWeightsExact : bounds.SameWeightsRounded;
        TransformerConfig config = model.Architecture;
        int[] tokens = Tokens(config, Math.Min(MaxTokens, options.Context));
        float[] weights = [.. tokens.Select((_, i) => (1 + (i % 3)) / (2f * tokens.Length))];
        var checks = new Checks();
        using var placeholder = new WeightFilePlaceholder(folder);
        using var mapped = new MappedWeights(model);
        float[] hidden = HiddenStates(model, null, options, folder, mapped, tokens);
        float[] expected = Weighted(hidden, weights, config.HiddenSize);

        using var runner = new GraphRunner(Path.Combine(folder, GraphExporter.PrefillGraphName), config, mapped);
        using KeyValueCache cache = runner.NewCache(1, tokens.Length);
        (float[] pooled, float[] logits) = runner.Pool(tokens, tokens.Length, weights, new float[config.HiddenSize], cache);
        checks.Add(BundleManifest.BaseMode, "pooled state = weighted hidden states", expected, pooled, config.HiddenSize, sameWeights, 0);
        checks.Add(BundleManifest.BaseMode, "switcher in the graph = its head on the pooled state", [.. head.Logits(pooled).Select(v => (float)v)], logits, logits.Length, bounds.SameWeightsExact, 0);

        int size = Math.Max(2, tokens.Length / 3);
        var state = new float[config.HiddenSize];
        for (int start = 0; start < tokens.Length; start += size)
        {
            int end = Math.Min(start + size, tokens.Length);
            (state, _) = runner.Pool(tokens.AsSpan(start, end - start), end, weights[start..end], state, cache);
        }

        checks.Add(BundleManifest.BaseMode, "pooled in chunks = in one pass", pooled, state, config.HiddenSize, sameWeights, 0);
        return new VerificationReport(checks.Done);
    }

    /// <summary>Checks a verifier's graph: its output is the head on the hidden states of the LoRA that it runs, token by token as in one pass.</summary>
    /// <param name="model">Base weights.</param>
    /// <param name="folder">Holds the graph; weights.bin may lie elsewhere.</param>
    /// <param name="mode">The mode's name; for messages.</param>
    /// <param name="graph">The graph's path relative to <paramref name="folder"/>.</param>
    /// <param name="adapter">The adapter that answers.</param>
    /// <param name="head">The head that it was written with.</param>
    /// <param name="options">The options that it was written with.</param>
    /// <param name="bounds">Allowed differences; null = the defaults.</param>
    /// <exception cref="ExportException">MDL4030: a difference is out of bounds. MDL4031: ONNX Runtime refuses a graph.</exception>
    public static VerificationReport VerifyVerifier(
        QuantizedModel model, string folder, string mode, string graph, LoraAdapter adapter, VerifierHead head, GraphOptions options, VerificationBounds? bounds = null)
    {
        bounds ??= new VerificationBounds();
        double sameWeights = IsExact(model, options) ? bounds.SameWeightsExact : bounds.SameWeightsRounded;
        TransformerConfig config = model.Architecture;
        int[] tokens = Tokens(config, Math.Min(MaxTokens, options.Context));
        var checks = new Checks();
        using var placeholder = new WeightFilePlaceholder(folder);
        using var mapped = new MappedWeights(model);
        float[] hidden = HiddenStates(model, head.Lora ?? adapter, options, folder, mapped, tokens);
        var expected = new float[tokens.Length];
        for (int t = 0; t < tokens.Length; t++)
        {
            double sum = head.Bias;
            for (int d = 0; d < config.HiddenSize; d++)
                sum += (double)head.W[d] * hidden[(t * config.HiddenSize) + d];
            expected[t] = (float)sum;
        }

        using var runner = new GraphRunner(Path.Combine(folder, graph), config, mapped);
        using KeyValueCache cache = runner.NewCache(1, tokens.Length);
        float[] scores = All(runner, tokens, cache);
        checks.Add(mode, "verifier = its head on hidden states", expected, scores, 1, bounds.SameWeightsExact, 0);
        checks.Add(mode, "verifier token by token = in one pass", scores, Pieces(runner, tokens, 1, cache), 1, sameWeights, 0);
        return new VerificationReport(checks.Done);
    }

    /// <summary>
    /// Checks that rollouts sample from what will be deployed: rollout.onnx with the adapter's deployed values computes what the adapter's exported graph
    /// computes, and without an adapter what the base graph computes.
    /// </summary>
    /// <param name="model">Base weights.</param>
    /// <param name="adapter">An adapter, in full precision.</param>
    /// <param name="options">Context and accuracy levels.</param>
    /// <param name="folder">Where graphs are written to be compared; created when missing and left empty of them.</param>
    /// <param name="bounds">Allowed differences; null = the defaults.</param>
    /// <exception cref="ExportException">MDL4030: a difference is out of bounds. MDL4031: ONNX Runtime refuses a graph.</exception>
    public static VerificationReport VerifyRollout(QuantizedModel model, LoraAdapter adapter, GraphOptions options, string folder, VerificationBounds? bounds = null)
    {
        bounds ??= new VerificationBounds();
        double sameWeights = IsExact(model, options) ? bounds.SameWeightsExact : bounds.SameWeightsRounded;
        TransformerConfig config = model.Architecture;
        int[] tokens = Tokens(config, Math.Min(MaxTokens, options.Context));
        string work = Path.Combine(folder, $"rollout-{Guid.NewGuid():N}");
        var checks = new Checks();
        Directory.CreateDirectory(work);
        try
        {
            using var placeholder = new WeightFilePlaceholder(work);
            using var mapped = new MappedWeights(model);
            using var lora = new LoraMemory(model, adapter.Targets, adapter.Rank);
            lora.Set(GraphExporter.AsDeployed(model, adapter));
            string rollout = Path.Combine(work, GraphExporter.WriteRollout(model, adapter.Targets, options, work));
            string single = Path.Combine(work, GraphExporter.WriteAdapter(model, adapter, "adapter", options, work).Graph);
            string plain = Path.Combine(work, GraphExporter.WriteBase(model, options, work));
            float[] trained = Logits(rollout, lora);
            checks.Add("rollout", "with the deployed LoRA = adapter graph", Logits(single, null), trained, config.VocabularySize, sameWeights, 0);
            checks.Add("rollout", "without a LoRA = base graph", Logits(plain, null), Logits(rollout, null), config.VocabularySize, bounds.SameWeightsExact, 0);

            float[] Logits(string graph, LoraMemory? memory)
            {
                using var runner = new GraphRunner(graph, config, mapped, memory?.Inputs);
                using KeyValueCache cache = runner.NewCache(1, tokens.Length);
                return All(runner, tokens, cache);
            }
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }

        return new VerificationReport(checks.Done);
    }

    private static float[] Weighted(float[] hidden, float[] weights, int width)
    {
        var sum = new double[width];
        for (int t = 0; t < weights.Length; t++)
        {
            for (int d = 0; d < width; d++)
                sum[d] += (double)weights[t] * hidden[(t * width) + d];
        }

        return [.. sum.Select(v => (float)v)];
    }

    /// <summary>Final hidden states of every token, [T, D], from a graph that is written for this and removed.</summary>
    private static float[] HiddenStates(QuantizedModel model, LoraAdapter? adapter, GraphOptions options, string folder, MappedWeights mapped, int[] tokens)
    {
        string name = $"hidden-{Guid.NewGuid():N}";
        string graph = Path.Combine(folder, name + ".onnx");
        string weights = name + ".bin";
        try
        {
            var parts = new GraphParts(adapter is null ? null : AdapterTensors.Write(model, adapter, folder, weights), Hidden: true);
            TransformerGraph.Build(model, options, name, QuantizedModel.WeightsFileName, parts).Write(graph, GraphExporter.ProducerVersion);
            using var runner = new GraphRunner(graph, model.Architecture, mapped);
            using KeyValueCache cache = runner.NewCache(1, tokens.Length);
            return All(runner, tokens, cache);
        }
        finally
        {
            File.Delete(graph);
            File.Delete(Path.Combine(folder, weights));
        }
    }
}
