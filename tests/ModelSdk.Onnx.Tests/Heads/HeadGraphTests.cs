using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Heads;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Heads;

public sealed class HeadGraphTests : IDisposable
{
    private const int Context = 48;

    private static readonly GraphOptions Exact = new() { Context = Context, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 };

    private readonly TemporaryFolder folder = new();
    private readonly TransformerConfig config = TinyModel.Config();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_prefill_graph_pools_hidden_states_and_runs_the_head_on_them()
    {
        QuantizedModel model = Quantize();
        SwitcherHead head = Switcher();
        string graph = GraphExporter.WritePrefill(model, head, Exact, model.Folder);
        int[] ids = TinyModel.Tokens(config, 20);
        float[] weights = [.. Enumerable.Range(0, 20).Select(i => (i % 5) * 0.1f)];
        float[] state = [.. Enumerable.Range(0, config.HiddenSize).Select(i => i * 0.01f)];

        using var mapped = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, graph), config, mapped);
        using var cache = new KeyValueCache(config, 1, Context);
        (float[] pooled, float[] logits) = runner.Pool(ids, 20, weights, state, cache);

        double[][] hidden = new ReferenceTransformer(config, model.ReadDequantized).Hidden(ids);
        for (int d = 0; d < config.HiddenSize; d++)
            Assert.Equal(state[d] + hidden.Zip(weights, (h, w) => h[d] * w).Sum(), pooled[d], 1e-4);
        double[] expected = head.Logits(pooled);
        Assert.Equal(3, logits.Length);
        for (int m = 0; m < 3; m++)
            Assert.Equal(expected[m], logits[m], 1e-4);
        Assert.True(expected.Max() - expected.Min() > 0.1, "The head tells nothing apart.");
    }

    [Fact]
    public void The_prefill_graph_encodes_what_the_base_graph_encodes()
    {
        QuantizedModel model = Quantize();
        GraphOptions options = new() { Context = Context };
        string graph = GraphExporter.WritePrefill(model, Switcher(), options, model.Folder);
        GraphExporter.WriteBase(model, options, model.Folder);
        int[] ids = TinyModel.Tokens(config, 20);

        using var mapped = new MappedWeights(model);
        using var prefill = new GraphRunner(Path.Combine(model.Folder, graph), config, mapped);
        using var plain = new GraphRunner(Path.Combine(model.Folder, GraphExporter.BaseGraphName), config, mapped);
        using var first = new KeyValueCache(config, 1, Context);
        using var second = new KeyValueCache(config, 1, Context);
        prefill.Pool(ids.AsSpan(0, 19), 19, new float[19], new float[config.HiddenSize], first);
        plain.Run(ids.AsSpan(0, 19), [19], [], second);

        Assert.Equal(plain.Run(ids.AsSpan(19), [20], [0], second), plain.Run(ids.AsSpan(19), [20], [0], first));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_verifier_graph_reads_the_hidden_state_of_its_LoRA(bool own)
    {
        QuantizedModel model = Quantize();
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        VerifierHead head = Verifier(own ? TinyModel.Adapter(config, 4, 8, ["self_attn.q_proj", "mlp.up_proj"], seed: 9) : null);
        BundleVerifierHead written = GraphExporter.WriteVerifier(model, adapter, head, "arithmetic", "Right?", Exact, model.Folder);
        int[] ids = TinyModel.Tokens(config, 20);

        using var mapped = new MappedWeights(model);
        using var runner = new GraphRunner(Path.Combine(model.Folder, written.Graph), config, mapped);
        using var cache = new KeyValueCache(config, 1, Context);
        float[] scores = runner.Run(ids, [20], [.. Enumerable.Range(0, 20)], cache);

        LoraAdapter deployed = GraphExporter.AsDeployed(model, head.Lora ?? adapter);
        double[][] hidden = new ReferenceTransformer(config, model.ReadDequantized, deployed).Hidden(ids);
        Assert.Equal(20, scores.Length);
        for (int t = 0; t < 20; t++)
            Assert.Equal(head.Bias + hidden[t].Zip(head.W, (h, w) => h * w).Sum(), scores[t], 1e-3);
        Assert.True(File.Exists(Path.Combine(model.Folder, written.Weights)));
        Assert.Equal("Right?", written.Prompt);
    }

    [Fact]
    public void Heads_survive_a_round_trip_with_the_same_bytes()
    {
        SwitcherHead switcher = Switcher();
        VerifierHead verifier = Verifier(TinyModel.Adapter(config, 4, 8));
        foreach (string target in (string[])["a", "b"])
        {
            switcher.Save(folder[target]);
            verifier.Save(folder[target]);
        }

        SwitcherHead switcherBack = SwitcherHead.Load(folder["a"]);
        VerifierHead verifierBack = VerifierHead.Load(folder["a"]);

        Assert.Equal([switcher.W1, switcher.B1, switcher.W2, switcher.B2], (float[][])[switcherBack.W1, switcherBack.B1, switcherBack.W2, switcherBack.B2]);
        Assert.Equal([.. verifier.W, verifier.Bias], (float[])[.. verifierBack.W, verifierBack.Bias]);
        Assert.Equal(verifier.Lora!.Linears.Count, verifierBack.Lora!.Linears.Count);
        foreach (string file in (string[])[SwitcherHead.FileName, VerifierHead.FileName])
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["a"], file)), File.ReadAllBytes(Path.Combine(folder["b"], file)));
        Verifier(null).Save(folder["c"]);
        Assert.Null(VerifierHead.Load(folder["c"]).Lora);
    }

    [Fact]
    public void Heads_of_another_width_or_with_NaN_are_refused()
    {
        QuantizedModel model = Quantize();
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        SwitcherHead narrow = new(new float[8 * 32], new float[8], new float[16], new float[2]);
        SwitcherHead broken = Switcher() with { B2 = [0, float.NaN, 0] };
        SwitcherHead torn = Switcher() with { W2 = new float[5] };

        Assert.Equal("MDL4013", Assert.Throws<ExportException>(() => GraphExporter.WritePrefill(model, narrow, Exact, model.Folder)).Code);
        Assert.Equal("MDL4013", Assert.Throws<ExportException>(() => GraphExporter.WritePrefill(model, broken, Exact, model.Folder)).Code);
        Assert.Equal("MDL4013", Assert.Throws<ExportException>(() => GraphExporter.WritePrefill(model, torn, Exact, model.Folder)).Code);
        Assert.Equal("MDL4013", Assert.Throws<ExportException>(() => GraphExporter.WriteVerifier(model, adapter, new VerifierHead(new float[63], 0), "a", "?", Exact, model.Folder)).Code);
        Assert.Equal("MDL4013", Assert.Throws<ExportException>(() => GraphExporter.WriteVerifier(model, adapter, new VerifierHead(new float[64], float.NaN), "a", "?", Exact, model.Folder)).Code);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void What_was_exported_is_verified_and_a_changed_head_is_noticed(int level)
    {
        QuantizedModel model = Quantize();
        GraphOptions options = new() { Context = Context, Int4AccuracyLevel = level, Int8AccuracyLevel = level };
        LoraAdapter adapter = TinyModel.Adapter(config, 8, 16);
        string graphs = folder["graphs"];
        SwitcherHead switcher = Switcher();
        GraphExporter.WritePrefill(model, switcher, options, graphs);
        VerifierHead[] heads = [Verifier(null), Verifier(TinyModel.Adapter(config, 4, 8, seed: 9))];
        string[] names = [.. heads.Select((head, i) => GraphExporter.WriteVerifier(model, adapter, head, $"a{i}", "?", options, graphs).Graph)];

        Assert.Equal(3, ExportVerifier.VerifySwitcher(model, graphs, switcher, options).Checks.Count);
        for (int i = 0; i < 2; i++)
            Assert.Equal(2, ExportVerifier.VerifyVerifier(model, graphs, "a", names[i], adapter, heads[i], options).Checks.Count);
        Assert.Equal(2, ExportVerifier.VerifyRollout(model, adapter, options, folder["rollout"]).Checks.Count);
        Assert.Equal(["a0.verifier.onnx", "a1.verifier.onnx", "adapters", "prefill.onnx"], Directory.GetFileSystemEntries(graphs).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Empty(Directory.GetFileSystemEntries(folder["rollout"]));

        Assert.Equal("MDL4030", Assert.Throws<ExportException>(() => ExportVerifier.VerifySwitcher(model, graphs, switcher with { B2 = [9, 0, 0] }, options)).Code);
        Assert.Equal("MDL4030", Assert.Throws<ExportException>(() => ExportVerifier.VerifyVerifier(model, graphs, "a", names[1], adapter, heads[0], options)).Code);
    }

    private SwitcherHead Switcher()
    {
        var random = new Random(5);
        return new SwitcherHead(Values(8 * config.HiddenSize), Values(8), Values(3 * 8), Values(3));

        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(0.3 * TinyModel.Normal(random)))];
    }

    private VerifierHead Verifier(LoraAdapter? lora)
    {
        var random = new Random(6);
        return new VerifierHead([.. Enumerable.Range(0, config.HiddenSize).Select(_ => (float)(0.3 * TinyModel.Normal(random)))], 0.25f, lora);
    }

    private QuantizedModel Quantize()
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Block = 32, Embeddings = WeightFormat.Int8 }, folder["model"]);
    }
}
