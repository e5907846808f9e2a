using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Onnx.Tests.Rollouts;

public sealed class RolloutEngineTests : IDisposable
{
    private static readonly GraphOptions Exact = new() { Context = 64, Int4AccuracyLevel = 1, Int8AccuracyLevel = 1 };
    private static readonly BatchOptions Greedy = new([7, 8], SamplingOptions.Greedy, 10);

    private readonly TemporaryFolder folder = new();
    private readonly TransformerConfig config = TinyModel.Config(vocabulary: TinyTokenizer.VocabularySize);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Tokens_and_log_probabilities_are_those_of_the_masked_adapter()
    {
        QuantizedModel model = Quantize();
        using RolloutEngine engine = Engine(model, Adapter(2), rows: 3);
        // Another adapter after one that was sampled from: nothing of the first may remain.
        engine.Sample(Prompts(), Greedy, cancellationToken: TestContext.Current.CancellationToken);
        LoraAdapter adapter = Adapter(11);
        engine.SetAdapter(adapter);

        IReadOnlyList<BatchSequence> sequences = engine.Sample(Prompts(), Greedy, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(6, sequences.Count);
        foreach (BatchSequence sequence in sequences)
        {
            int[] prompt = Prompts()[sequence.Prompt].Tokens;
            int[] ids = [.. prompt, .. Greedy.GenerationPrompt, .. sequence.Tokens];
            double[][] logits = new ReferenceTransformer(config, model.ReadDequantized, adapter, adapterStart: prompt.Length).Forward(ids);
            for (int t = 0; t < sequence.Tokens.Length; t++)
            {
                double[] row = logits[prompt.Length + Greedy.GenerationPrompt.Length - 1 + t];
                // The rows of the padded vocabulary that no token has are never chosen, but have their share of the probability.
                double max = row[..(TinyTokenizer.ThinkClose + 1)].Max();
                Assert.Equal(Array.IndexOf(row, max), sequence.Tokens[t]);
                Assert.Equal(-Math.Log(row.Sum(v => Math.Exp(v - max))), sequence.LogProbs[t], 1e-3);
            }
        }
    }

    [Fact]
    public void The_same_adapter_gives_the_same_samples_and_another_gives_others()
    {
        QuantizedModel model = Quantize();
        BatchOptions options = new([7, 8], new SamplingOptions { Temperature = 0.8 }, 12);
        using RolloutEngine engine = Engine(model, Adapter(2), rows: 4);

        string first = Text();
        string again = Text();
        engine.SetAdapter(Adapter(3));
        string other = Text();
        engine.SetAdapter(Adapter(2).Linears.ToDictionary(l => l.Key, l => (l.Value.A, l.Value.B)));
        string back = Text();

        Assert.Equal((first, first), (again, back));
        Assert.NotEqual(first, other);

        string Text() => string.Join('|', engine.Sample(Prompts(), options, cancellationToken: TestContext.Current.CancellationToken).Select(s => string.Join(' ', s.Tokens)));
    }

    private static BatchPrompt[] Prompts() => [new([1, 2, 3, 4, 5], 2, null, 1), new([9], 2, null, 2), new([.. Enumerable.Range(20, 17)], 2, null, 3)];

    private LoraAdapter Adapter(int seed) => TinyModel.Adapter(config, 4, 8, seed: seed);

    private RolloutEngine Engine(QuantizedModel model, LoraAdapter adapter, int rows)
    {
        Directory.CreateDirectory(folder["tokenizer"]);
        TinyTokenizer.Write(folder["tokenizer"]);
        var tokenizer = Tokenizer.Load(Path.Combine(folder["tokenizer"], "tokenizer.json"));
        var format = new OutputFormat(tokenizer, new BundlePrompt(null, null, "<think>", "</think>", "</think>"), 4, [config.VocabularySize + 1], config.VocabularySize);
        return new RolloutEngine(model, folder["rollout"], adapter, Exact, format, rows, workers: 2);
    }

    private QuantizedModel Quantize()
    {
        using var checkpoint = TinyModel.Write(folder["base"], config);
        return QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = WeightFormat.Int4, Block = 32, Embeddings = WeightFormat.Int8 }, folder["model"]);
    }
}
