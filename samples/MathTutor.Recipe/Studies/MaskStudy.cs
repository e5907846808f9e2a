using System.Diagnostics;
using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;

namespace MathTutor.Recipe.Studies;

/// <summary>
/// Masked against unmasked LoRA on the sample: same base, data and seeds. Trains on the quantized base as the compiler does, decodes the
/// hard test greedily in Torch, and prints accuracy by depth.
/// </summary>
internal sealed class MaskStudy : IDisposable
{
    /// <summary>Most tokens of an answer: three checks of the deepest problem need 340.</summary>
    private const int MaxTokens = 400;

    private readonly TransformerConfig _config;
    private readonly Func<string, float[]> _read;
    private readonly Checkpoint _checkpoint;
    private readonly Tokenizer _tokenizer;
    private readonly SftDataset _train;
    private readonly IReadOnlyList<TrainingExample> _test;
    private readonly ChatTemplate _template;
    private readonly string _sample;
    private readonly int _failures;
    private readonly Action<string> _log;

    public MaskStudy(string sample, string workFolder, bool quantized, int testExamples, int failures, Action<string> log)
    {
        (_sample, _failures, _log) = (sample, failures, log);
        string folder = Path.Combine(sample, "base");
        _checkpoint = Checkpoint.Open(folder);
        _config = _checkpoint.Config;
        QuantizedModel model = QuantizedModel.Quantize(_checkpoint, new QuantizationSettings(), Path.Combine(workFolder, "quantized"));
        _read = quantized ? model.ReadDequantized : _checkpoint.Read;
        _tokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));
        _template = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));
        string train = Path.Combine(sample, "data", "train.jsonl");
        _train = SftDataset.Encode(train, TrainingData.Read(train), _tokenizer, _template, null, _config.MaxPositions);
        _test = [.. TrainingData.Read(Path.Combine(sample, "data", "test.jsonl")).Take(testExamples)];
    }

    /// <summary>The base's direct answers.</summary>
    public void Base(string file) => Report($"base {file}", Measure(null, true, TrainingData.Read(Path.Combine(_sample, "data", file))));

    /// <summary>One training and its measurement.</summary>
    /// <param name="name">For the printed line.</param>
    /// <param name="adapter">Settings, with or without the mask.</param>
    /// <param name="seed">Of weights and order.</param>
    /// <param name="late">Whether the mask ends at the last token of the prompt instead of before the generation prompt.</param>
    public void Run(string name, AdapterSettings adapter, long seed, bool late)
    {
        var clock = Stopwatch.StartNew();
        SftResult result = SftRecipe.Run(_config, _read, late ? Late(_train) : _train, new SftOptions { Adapter = adapter, Seed = seed });
        double seconds = clock.Elapsed.TotalSeconds;
        double last = result.Losses.TakeLast(10).Average();
        Report(string.Create(CultureInfo.InvariantCulture, $"{name} seed {seed} {seconds:0} s loss {last:0.0000}"), Measure(result.Adapter, adapter.Masked, _test, late));
    }

    /// <summary>The base encodes the generation prompt, too, but for its last token: that one predicts the answer's first.</summary>
    private static SftDataset Late(SftDataset data) => new([data.GenerationPrompt[^1]], [.. data.Examples.Select(e => e with { Prompt = [.. e.Prompt, .. data.GenerationPrompt.SkipLast(1)] })]);

    /// <inheritdoc/>
    public void Dispose() => _checkpoint.Dispose();

    private IEnumerable<(int Depth, bool Right, int Tokens)> Measure(LoraAdapter? adapter, bool masked, IReadOnlyList<TrainingExample> test, bool late = false)
    {
        using Transformer model = Transformer.Load(_config, _read, compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter, masked);
        int encoded = late ? _train.GenerationPrompt.Count - 1 : 0;
        int[][] prompts = [.. test.Select(e => (int[])[.. _tokenizer.Encode(_template.Render([e.Turns[0]], addGenerationPrompt: false)), .. _train.GenerationPrompt.Take(encoded)])];
        IReadOnlyList<DecodedSequence> decoded = decoder.Decode(prompts, [.. _train.GenerationPrompt.Skip(encoded)], [_tokenizer.TokenId("<|im_end|>")!.Value], MaxTokens);
        int shown = 0;
        return [.. test.Select((e, i) =>
        {
            string text = _tokenizer.Decode(decoded[i].Tokens);
            bool right = text.Split("</think>")[^1].Trim() == e.Answer;
            if (!right && adapter is not null && shown++ < _failures)
            {
                _log($"  {e.Turns[0].Content}\n  expected {e.Answer}: {text.ReplaceLineEndings(" ")}");
            }

            return (e.Turns[0].Content.Split(" than ").Length + e.Turns[0].Content.Split(" as many as ").Length - 2, right, decoded[i].Tokens.Length);
        })];
    }

    private void Report(string name, IEnumerable<(int Depth, bool Right, int Tokens)> results)
    {
        var all = results.ToArray();
        string depths = string.Join("  ", all.GroupBy(r => r.Depth).OrderBy(g => g.Key).Select(g => string.Create(CultureInfo.InvariantCulture, $"k{g.Key} {100.0 * g.Count(r => r.Right) / g.Count():0.0}")));
        _log(string.Create(CultureInfo.InvariantCulture, $"{name}: {100.0 * all.Count(r => r.Right) / all.Length:0.00}% of {all.Length}, {all.Average(r => r.Tokens):0.0} tokens; {depths}"));
    }
}
