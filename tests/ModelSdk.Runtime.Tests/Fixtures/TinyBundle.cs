using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>Writes bundles of a two-layer model with the real exporter.</summary>
internal static class TinyBundle
{
    public const string Adapter = "arithmetic";

    /// <summary>Random weights: attention, feed-forward and adapters all matter, and greedy text never ends by itself.</summary>
    public static string Random(string folder, int context = 256, int adapters = 2, Func<BundleManifest, BundleManifest>? change = null, TinyHeads? heads = null, CacheFormat cache = CacheFormat.None)
    {
        Random random = new(7);
        return Write(folder, context, adapters, tied: true, new QuantizationSettings { Weights = WeightFormat.Int4, KeyValueCache = cache }, loraScale: 0.3f, change, heads, name => Values(name, random));
    }

    /// <summary>
    /// A model that says what it is told: after each token comes the token that the script names for it, whatever stands before; of several, each is as likely as the others.
    /// Attention and feed-forward write nothing into the residual stream, and the LM head maps each embedding to its successor.
    /// </summary>
    public static string Scripted(string folder, IEnumerable<(int Token, int Next)> successors, int context = 256, int adapters = 1, Func<BundleManifest, BundleManifest>? change = null, TinyHeads? heads = null)
    {
        TransformerConfig config = Config(tied: false);
        Random random = new(5);
        float[] embedding = Embedding();
        float[] head = new float[embedding.Length];
        foreach ((int token, int next) in successors)
        {
            for (int i = 0; i < config.HiddenSize; i++)
                head[next * config.HiddenSize + i] += embedding[token * config.HiddenSize + i];
        }

        return Write(folder, context, adapters, tied: false, new QuantizationSettings { Weights = WeightFormat.Int8, KeyValueCache = CacheFormat.None }, loraScale: 0, change, heads, name => name switch
        {
            Qwen2Tensors.Embedding => embedding,
            Qwen2Tensors.Head => head,
            _ when name.Contains("norm", StringComparison.Ordinal) => [.. Enumerable.Repeat(1f, config.HiddenSize)],
            _ when name.Contains("o_proj", StringComparison.Ordinal) || name.Contains("down_proj", StringComparison.Ordinal) => new float[Length(name, config)],
            _ => Values(name, random),
        });
    }

    /// <summary>Embeddings of a scripted model, [V, D], each number -1 or 1. The final hidden state of a token is its embedding.</summary>
    public static float[] Embedding()
    {
        TransformerConfig config = Config(tied: false);
        Random random = new(3);
        return [.. Enumerable.Range(0, config.VocabularySize * config.HiddenSize).Select(_ => random.Next(2) == 0 ? -1f : 1f)];
    }

    /// <summary>A script from texts: each pair is a token and its successor.</summary>
    public static IEnumerable<(int Token, int Next)> Script(IReadOnlyList<string> chain) =>
        chain.Zip(chain.Skip(1), (token, next) => (Token(token), Token(next)));

    private static int Token(string text) => text switch
    {
        "\n\n" => TinyTokenizer.DoubleNewline,
        "<think>" => TinyTokenizer.ThinkOpen,
        "</think>" => TinyTokenizer.ThinkClose,
        "<end>" => TinyTokenizer.TurnEnd,
        [char single] => TinyTokenizer.Id(single),
        _ => throw new ArgumentException($"\"{text}\" is no token.", nameof(text)),
    };

    private static TransformerConfig Config(bool tied) => new("qwen2", TinyTokenizer.VocabularySize, 64, 96, 2, 4, 2, 16, 512, 10000, 1e-6, tied);

    private static long Length(string name, TransformerConfig config) =>
        Qwen2Tensors.Of(config).Single(t => t.Name == name).Shape.Aggregate(1L, (a, b) => a * b);

    private static float[] Values(string name, Random random)
    {
        long length = Length(name, Config(tied: false));
        float scale = name.Contains("norm", StringComparison.Ordinal) ? 0.1f : name.Contains("bias", StringComparison.Ordinal) ? 0.5f : 0.25f;
        float middle = name.Contains("norm", StringComparison.Ordinal) ? 1 : 0;
        return [.. Enumerable.Range(0, (int)length).Select(_ => middle + scale * (random.NextSingle() * 2 - 1))];
    }

    private static string Write(
        string folder,
        int context,
        int adapters,
        bool tied,
        QuantizationSettings quantization,
        float loraScale,
        Func<BundleManifest, BundleManifest>? change,
        TinyHeads? heads,
        Func<string, float[]> read)
    {
        TransformerConfig config = Config(tied);
        string checkpoint = Path.Combine(folder, "checkpoint");
        CheckpointWriter.Write(checkpoint, config, read, TensorDType.F32);
        string bundle = Path.Combine(folder, "bundle");
        QuantizedModel model = QuantizedModel.Quantize(Checkpoint.Open(checkpoint), quantization, bundle);
        if (quantization.KeyValueCache != CacheFormat.None)
        {
            KeyValueCalibration.Run(model, quantization.KeyValueCache, KeyValueCalibration.Tokens(model)).Write(bundle);
            model = QuantizedModel.Open(bundle);
            File.Delete(Path.Combine(bundle, KeyValueScales.FileName));
        }

        File.Delete(Path.Combine(bundle, QuantizedModel.DirectoryFileName));
        TinyTokenizer.Write(bundle);

        GraphOptions options = new() { Context = context };
        string baseGraph = GraphExporter.WriteBase(model, options, bundle);
        List<BundleAdapter> written = [];
        for (int i = 0; i < adapters; i++)
        {
            LoraAdapter lora = Lora(config, loraScale, seed: 11 + i);
            string name = i == 0 ? Adapter : $"{Adapter}{i + 1}";
            BundleAdapter adapter = GraphExporter.WriteAdapter(model, lora, name, options, bundle);
            written.Add(heads?.Verifier is null
                ? adapter
                : adapter with { Verifier = GraphExporter.WriteVerifier(model, lora, heads.Verifier, name, TinyHeads.VerifierPrompt, options, bundle) });
        }


        BundleManifest manifest = new()
        {
            Name = "Tiny",
            Compiler = "0.1.0",
            Architecture = config,
            Context = context,
            Quantization = new BundleQuantization("int4", quantization.Block, "int8", model.Cache?.Format.ToString().ToLowerInvariant()),
            Weights = new BundleWeights(QuantizedModel.WeightsFileName, model.Tensors),
            BaseGraph = baseGraph,
            EncoderGraph = GraphExporter.WriteEncoder(model, options, bundle),
            Adapters = written,
            Switcher = heads?.Switcher is null
                ? null
                : new BundleSwitcher(
                    GraphExporter.WritePrefill(model, heads.Switcher, options, bundle),
                    [BundleManifest.BaseMode, .. written.Select(a => a.Name)],
                    heads.Chunk,
                    TinyHeads.Smoothing,
                    TinyHeads.Threshold),
            DefaultMode = adapters > 0 ? Adapter : BundleManifest.BaseMode,
            Budgets = [new BundleBudget("short", 12), new BundleBudget("long", 64)],
            Answer = new BundleAnswer("integer"),
            AnswerTokens = 6,
            Prompt = new BundlePrompt(null, "Use at most {budget} tokens.", "<think>", "</think>", "</think>\n\n"),
            EosTokens = [TinyTokenizer.TurnEnd, TinyTokenizer.EndOfText],
        };
        manifest = change?.Invoke(manifest) ?? manifest;
        string[] files = [.. Directory.EnumerateFiles(bundle, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(bundle, f).Replace('\\', '/'))];
        manifest.Seal(bundle, files).Write(bundle);
        return bundle;
    }

    private static LoraAdapter Lora(TransformerConfig config, float scale, int seed)
    {
        Random random = new(seed);
        Dictionary<string, LoraLinear> linears = new(StringComparer.Ordinal);
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
        {
            if (!name.EndsWith("_proj.weight", StringComparison.Ordinal))
                continue;
            string module = name[..^".weight".Length];
            const int rank = 4;
            linears[module] = new LoraLinear(module, (int)shape[1], (int)shape[0], Fill(rank * shape[1], 0.3f), Fill(shape[0] * rank, scale));
        }

        return new LoraAdapter { Rank = 4, Alpha = 8, Linears = linears };

        float[] Fill(long count, float range) => [.. Enumerable.Range(0, (int)count).Select(_ => range * (random.NextSingle() * 2 - 1))];
    }
}
