using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training.Tests;

/// <summary>Budget forcing with completions from the deployed engine.</summary>
public sealed class EngineRolloutsTests : IDisposable
{
    private const int End = 2;

    private static readonly TransformerConfig s_config = new("qwen2", 64, 32, 64, 2, 2, 1, 16, 96, 10000, 1e-6, true);
    private static readonly int[] s_generationPrompt = [3, 4, 5];

    private readonly TemporaryFolder _folder = new();
    private readonly Checkpoint _checkpoint;
    private readonly QuantizedModel _model;

    public EngineRolloutsTests()
    {
        var weights = RandomWeights.Of(s_config);
        var folder = Path.Combine(_folder.Path, "base");
        CheckpointWriter.Write(folder, s_config, n => weights[n], TensorDType.F32);
        _checkpoint = Checkpoint.Open(folder);
        _model = QuantizedModel.Quantize(_checkpoint, new QuantizationSettings { Block = 32 }, Path.Combine(_folder.Path, "quantized"));
    }

    public void Dispose()
    {
        _checkpoint.Dispose();
        _folder.Dispose();
    }

    private RolloutEngine Engine(LoraAdapter adapter, int accuracy)
    {
        var tokenizer = Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer.json"));
        var format = new OutputFormat(tokenizer, new BundlePrompt(null, null, "<think>", "</think>", "</think>"), 4, [End], s_config.VocabularySize);
        return new RolloutEngine(_model, Path.Combine(_folder.Path, "rollouts"), adapter, new GraphOptions { Context = 96, Int4AccuracyLevel = accuracy, Int8AccuracyLevel = accuracy }, format, rows: 8);
    }

    [Fact]
    public void Log_probabilities_of_the_engine_are_those_of_the_trainer_and_every_prompt_has_its_own_limit()
    {
        var adapter = RandomWeights.Adapter(s_config);
        using var engine = Engine(RandomWeights.Adapter(s_config, 3) with { Alpha = 1 }, accuracy: 1);
        RolloutPrompt[] prompts = [.. Enumerable.Range(0, 5).Select(i => new RolloutPrompt(RandomWeights.Tokens(s_config, 4 + i, i), 6, 5 + (4 * i), (ulong)i))];

        var rollouts = EngineRollouts.Of(engine, s_generationPrompt)(adapter, prompts, 0.8, TestContext.Current.CancellationToken);

        using var model = Transformer.Load(s_config, _model.ReadDequantized, compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter);
        Assert.Equal(Enumerable.Range(0, 5).SelectMany(p => Enumerable.Range(0, 6).Select(s => (p, s))), rollouts.Select(r => (r.Prompt, r.Sample)));
        foreach (var rollout in rollouts)
        {
            var prompt = prompts[rollout.Prompt];
            Assert.True(rollout.Ended ? rollout.Tokens[^1] == End && rollout.Tokens.Length <= prompt.MaxTokens : rollout.Tokens.Length == prompt.MaxTokens);
            Assert.DoesNotContain(End, rollout.Tokens[..^1]);
            var logits = decoder.Logits([.. prompt.Tokens, .. s_generationPrompt, .. rollout.Tokens], prompt.Tokens.Length).Skip(s_generationPrompt.Length - 1).ToArray();
            for (var t = 0; t < rollout.Tokens.Length; t++)
            {
                var scaled = logits[t].Select(l => l / 0.8).ToArray();
                Assert.Equal(scaled[rollout.Tokens[t]] - scaled.Max() - Math.Log(scaled.Sum(s => Math.Exp(s - scaled.Max()))), rollout.LogProbs[t], 1e-3);
            }
        }
    }

    [Fact]
    public void A_run_on_the_engine_learns_and_goes_on_from_its_checkpoint_with_the_same_bytes()
    {
        // Right is what begins with an even token; the start answers at random.
        var data = new GrpoDataset(
            [.. Enumerable.Range(0, 20).Select(i => new GrpoQuestion([new ChatTurn("user", $"{i}")], "even", i + 1))],
            s_generationPrompt,
            (question, budget) => [.. RandomWeights.Tokens(s_config, 5, question.Line), 40 + (budget ?? 0)],
            tokens => new GrpoOutput("", tokens.Count > 0 && tokens[0] % 2 == 0 ? "even" : "odd", 0));
        var options = new GrpoOptions
        {
            Adapter = RandomWeights.Settings() with
            {
                Budget = new BudgetForcingSettings { Steps = 16, Prompts = 6, Samples = 8, Temperature = 1, LearningRate = 0.01, Budgets = new([12]), MaxTokens = 40, CheckpointEverySteps = 4 },
            },
            Seed = 3,
            Compute = ComputeOptions.Full,
        };
        var start = RandomWeights.Adapter(s_config) with { InvocationTokens = s_generationPrompt };
        GrpoResult Run(string? work, Action<GrpoStep>? each = null)
        {
            using var engine = Engine(start, accuracy: 4);
            return GrpoRecipe.Run(s_config, _model.ReadDequantized, data, options with { WorkFolder = work }, start, EngineRollouts.Of(engine, s_generationPrompt), answers => [.. answers.Select(a => a.Answer == a.Expected ? 1.0 : 0.0)],
                each is null ? null : new Each(each), TestContext.Current.CancellationToken);
        }

        static float[] Bytes(LoraAdapter adapter) => [.. adapter.Linears.OrderBy(l => l.Key, StringComparer.Ordinal).SelectMany(l => l.Value.A.Concat(l.Value.B))];

        var undisturbed = Run(null);
        Assert.True(undisturbed.Steps.TakeLast(4).Average(s => s.Reward) > undisturbed.Steps.Take(2).Average(s => s.Reward) + 0.2, string.Join(' ', undisturbed.Steps.Select(s => s.Reward)));
        Assert.All(undisturbed.Steps.Where(s => s.ZeroDeviation < 1), s => Assert.InRange(s.LogProbDisagreement, 1e-9, 0.3)); // the engine's activations have 8 bits

        var work = Path.Combine(_folder.Path, "work");
        Assert.Throws<NotSupportedException>(() => Run(work, s =>
        {
            if (s.Step == 7)
            {
                throw new NotSupportedException("the process dies");
            }
        }));
        Assert.Equal(Bytes(undisturbed.Adapter), Bytes(Run(work).Adapter));
    }

    private sealed class Each(Action<GrpoStep> action) : IProgress<GrpoStep>
    {
        public void Report(GrpoStep value) => action(value);
    }
}
