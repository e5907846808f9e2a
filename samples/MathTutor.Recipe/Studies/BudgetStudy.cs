using System.Diagnostics;
using System.Globalization;
using MathTutor.Recipe.World;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;

namespace MathTutor.Recipe.Studies;

/// <summary>
/// Budget forcing on the sample: fine-tunes an adapter as the manifest does (or takes the one of an earlier run), trains it by GRPO, and
/// measures both on fresh problems that no file contains.
/// </summary>
internal sealed class BudgetStudy : IDisposable
{
    /// <summary>Most tokens of an answer: three checks of the deepest problem need 340.</summary>
    private const int MaxTokens = 400;

    /// <summary>Most tokens of a forced answer, as in the sample's bundle.</summary>
    private const int AnswerTokens = 16;

    private readonly Checkpoint _checkpoint;
    private readonly TransformerConfig _config;
    private readonly QuantizedModel _model;
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;
    private readonly PromptSettings _prompt = new();
    private readonly int[] _generationPrompt;
    private readonly int[] _ends;
    private readonly string _sample;
    private readonly string _train;
    private readonly string _work;
    private readonly GrpoDataset _test;
    private readonly OutputFormat _format;
    private readonly Action<string> _log;

    public BudgetStudy(string sample, string workFolder, int questions, Action<string> log)
    {
        (_sample, _work, _log) = (sample, workFolder, log);
        string folder = Path.Combine(sample, "base");
        _checkpoint = Checkpoint.Open(folder);
        _config = _checkpoint.Config;
        _model = QuantizedModel.Quantize(_checkpoint, new QuantizationSettings(), Path.Combine(workFolder, "quantized"));
        _tokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));
        _template = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));
        _generationPrompt = _tokenizer.Encode(_template.GenerationPrompt);
        _ends = [_tokenizer.TokenId("<|im_end|>")!.Value];
        _train = Path.Combine(sample, "data", "train.jsonl");
        _format = new OutputFormat(_tokenizer, new BundlePrompt(null, _prompt.Budget, _prompt.ThinkOpen, _prompt.ThinkClose, _prompt.ForceAnswer), AnswerTokens, _ends, _config.VocabularySize);
        _test = Fresh(questions);
    }

    /// <summary>Compares answers with the expected number.</summary>
    public static IReadOnlyList<double> Grade(IReadOnlyList<GradedAnswer> answers) => [.. answers.Select(a => a.Answer.Trim() == a.Expected ? 1.0 : 0.0)];

    /// <summary>The adapter after fine-tuning; kept in the work folder for the next run.</summary>
    public LoraAdapter FineTuned(AdapterSettings adapter, long seed)
    {
        string folder = Path.Combine(_work, string.Create(CultureInfo.InvariantCulture, $"sft-{(adapter.Masked ? "masked" : "unmasked")}-{adapter.Sft.Steps}x{adapter.Sft.BatchSize}-{adapter.Sft.LearningRate}-{seed}"));
        if (File.Exists(Path.Combine(folder, "adapter_config.json")))
        {
            return LoraAdapter.Load(folder);
        }

        var clock = Stopwatch.StartNew();
        SftDataset data = SftDataset.Encode(_train, TrainingData.Read(_train), _tokenizer, _template, null, _config.MaxPositions);
        LoraAdapter result = SftRecipe.Run(_config, _model.ReadDequantized, data, new SftOptions { Adapter = adapter, Seed = seed }).Adapter;
        result.Save(folder);
        _log(string.Create(CultureInfo.InvariantCulture, $"fine-tuned in {clock.Elapsed.TotalSeconds:0} s"));
        return LoraAdapter.Load(folder);
    }

    /// <summary>Budget forcing; prints every step.</summary>
    public LoraAdapter BudgetForced(AdapterSettings adapter, LoraAdapter start, long seed)
    {
        string path = Path.Combine(_sample, adapter.BudgetData!);
        GrpoDataset data = GrpoDataset.Encode(path, TrainingData.Read(path), _tokenizer, _template, _prompt, adapter.Budget!, _config.MaxPositions);
        var clock = Stopwatch.StartNew();
        using RolloutEngine? engine = adapter.Masked ? Engine(start) : null;
        using Transformer? model = adapter.Masked ? null : Transformer.Load(_config, _model.ReadDequantized, compute: ComputeOptions.Full);
        // The deployed engine shares prompts that the base encodes; an adapter without the mask cannot, so Torch samples it.
        RolloutSampler sampler = engine is not null ? EngineRollouts.Of(engine, _generationPrompt) : (policy, prompts, temperature, cancellation) =>
        {
            using var decoder = new TorchDecoder(model!, policy, masked: false);
            return decoder.Sample(prompts, _generationPrompt, _ends, temperature, cancellation: cancellation);
        };
        GrpoResult result = GrpoRecipe.Run(_config, _model.ReadDequantized, data, new GrpoOptions { Adapter = adapter, Seed = seed }, start, sampler, Grade, new Each(s => _log(string.Create(CultureInfo.InvariantCulture, $"  {s.Step}/{s.Steps} reward {s.Reward:0.000} right {100 * s.Accuracy:0.0}% tokens {s.MeanTokens:0.0} within {100 * s.WithinBudget:0.0}% kl {s.Kl:0.0000} loss {s.Loss:0.0000} norm {s.GradientNorm:0.000} flat {100 * s.ZeroDeviation:0}% clipped {100 * s.Clipped:0.00}% disagreement {s.LogProbDisagreement:0.0000}, {s.RolloutTokensPerSecond:0} and {s.TrainingTokensPerSecond:0} tokens/s, {clock.Elapsed.TotalSeconds:0} s"))));
        _log(string.Create(CultureInfo.InvariantCulture, $"budget forcing: {clock.Elapsed.TotalSeconds:0} s"));
        return result.Adapter;
    }

    /// <summary>Accuracy and length: greedy and sampled, with no budget and with each of those stated; then under hard budgets.</summary>
    public void Measure(string name, LoraAdapter adapter, bool masked, IReadOnlyList<int> budgets, double temperature, IReadOnlyList<int> hardBudgets)
    {
        using RolloutEngine? engine = masked ? Engine(adapter) : null;
        using Transformer? model = masked ? null : Transformer.Load(_config, _model.ReadDequantized, compute: ComputeOptions.Full);
        using TorchDecoder? decoder = model is null ? null : new TorchDecoder(model, adapter, masked: false);
        IReadOnlyList<(int[] Tokens, bool Ended)> Decode(int[][] prompts, double at, int? hard) => engine is not null
            ? [.. engine.Sample([.. prompts.Select((p, i) => new BatchPrompt(p, 1, hard, (ulong)i))], new BatchOptions(_generationPrompt, new SamplingOptions { Temperature = at }, MaxTokens))
                .Select(s => (s.Ended ? s.Tokens[..^1] : s.Tokens, s.Ended || s.Forced))]
            : at == 0
                ? [.. decoder!.Decode(prompts, _generationPrompt, _ends, MaxTokens).Select(d => (d.Tokens, d.Ended))]
                : [.. decoder!.Sample([.. prompts.Select((p, i) => new RolloutPrompt(p, 1, MaxTokens, (ulong)i))], _generationPrompt, _ends, at).Select(r => (r.Ended ? r.Tokens[..^1] : r.Tokens, r.Ended))];
        foreach (int? budget in (int?[])[null, .. budgets])
        {
            int[][] prompts = [.. _test.Questions.Select(q => _test.Render(q, budget))];
            Report($"{name} greedy", budget, Decode(prompts, 0, null));
            Report(string.Create(CultureInfo.InvariantCulture, $"{name} T {temperature}"), budget, Decode(prompts, temperature, null));
        }

        foreach (int hard in masked ? hardBudgets : [])
        {
            Report($"{name} greedy, cut", hard, Decode([.. _test.Questions.Select(q => _test.Render(q, hard))], 0, hard));
        }
    }

    private RolloutEngine Engine(LoraAdapter adapter) => new(_model, Path.Combine(_work, "rollouts"), adapter, new GraphOptions { Context = _config.MaxPositions }, _format);

    /// <inheritdoc/>
    public void Dispose() => _checkpoint.Dispose();

    private void Report(string name, int? budget, IReadOnlyList<(int[] Tokens, bool Ended)> decoded)
    {
        var scored = decoded.Select((d, i) => (Right: d.Ended && _test.Read(d.Tokens).Answer.Trim() == _test.Questions[i].Expected, d.Tokens.Length, Depth: _test.Questions[i].Text.Split(" than ").Length + _test.Questions[i].Text.Split(" as many as ").Length - 2)).ToArray();
        string depths = string.Join(' ', scored.GroupBy(s => s.Depth).OrderBy(g => g.Key).Select(g => string.Create(CultureInfo.InvariantCulture, $"k{g.Key} {100.0 * g.Count(s => s.Right) / g.Count():0.0}%/{g.Average(s => s.Length):0}")));
        string within = budget is null ? "" : string.Create(CultureInfo.InvariantCulture, $", {100.0 * scored.Count(s => s.Length <= budget) / scored.Length:0.0}% within");
        _log(string.Create(CultureInfo.InvariantCulture, $"{name}, budget {budget?.ToString(CultureInfo.InvariantCulture) ?? "none"}: {100.0 * scored.Count(s => s.Right) / scored.Length:0.0}%, {scored.Average(s => s.Length):0.0} tokens{within}; {depths}"));
    }

    /// <summary>Problems of depth 3 to 6 that are in no file.</summary>
    private GrpoDataset Fresh(int count)
    {
        HeldOut heldOut = DataFiles.Create().HeldOut;
        Dice dice = Dice.For(DataFiles.Seed, "budget study");
        var examples = new List<TrainingExample>();
        while (examples.Count < count)
        {
            (Story story, string asked) = StoryTeller.Tell(dice, 3 + (examples.Count % 4));
            if (!heldOut.Contains(story))
            {
                examples.Add(new TrainingExample([new ChatTurn("user", $"{story.Text} {story.Question(asked)}")], Reasoning.Answer(story, asked), examples.Count + 1));
            }
        }

        return GrpoDataset.Encode("fresh problems", examples, _tokenizer, _template, _prompt, new BudgetForcingSettings { MaxTokens = 300 }, _config.MaxPositions);
    }

    private sealed class Each(Action<GrpoStep> action) : IProgress<GrpoStep>
    {
        public void Report(GrpoStep value) => action(value);
    }
}
