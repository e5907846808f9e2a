using System.Diagnostics;
using System.Globalization;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;
using ModelSdk.Training.Quantization;

namespace MathTutor.Recipe.Studies;

/// <summary>
/// Formats and solvers on the sample's base: the error of weights and of logits, and what an adapter that is trained on the quantized base
/// (QAMR, paper 6) gets right.
/// </summary>
internal sealed class QuantizationStudy : IDisposable
{
    /// <summary>Most tokens of an answer: three checks of the deepest problem need 340.</summary>
    private const int MaxTokens = 400;

    /// <summary>Texts on which logits are compared; calibration reads others.</summary>
    private const int ComparedTexts = 48;

    private readonly Checkpoint _checkpoint;
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;
    private readonly SftDataset _train;
    private readonly SftDataset _unseen;
    private readonly IReadOnlyList<TrainingExample> _test;
    private readonly int[][] _compared;
    private readonly string _work;
    private readonly Action<string> _log;
    private readonly float[][] _reference;

    public QuantizationStudy(string sample, string workFolder, int testExamples, Action<string> log)
    {
        (_work, _log) = (workFolder, log);
        string folder = Path.Combine(sample, "base");
        _checkpoint = Checkpoint.Open(folder);
        _tokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));
        _template = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));
        _train = Encode(Path.Combine(sample, "data", "train.jsonl"));
        _unseen = Encode(Path.Combine(sample, "data", "validation.jsonl"));
        _test = [.. TrainingData.Read(Path.Combine(sample, "data", "test.jsonl")).Take(testExamples)];
        _compared = [.. Whole(_unseen).Take(ComparedTexts)];
        _reference = Logits(_checkpoint.Read);
    }

    /// <summary>The base as the settings store it, with its errors; the calibration is the compiler's.</summary>
    public QuantizedModel Quantize(QuantizationSettings settings)
    {
        var clock = Stopwatch.StartNew();
        Calibration? calibration = null;
        if (settings.Calibrates)
        {
            bool best = settings.Quality == QuantizationQuality.Best;
            calibration = CalibrationRecipe.Run(_checkpoint.Config, _checkpoint.Read, CalibrationRecipe.Choose([.. Whole(_train)], best ? CalibrationRecipe.BestTokens : CalibrationRecipe.BalancedTokens), best);
        }

        QuantizedModel model = QuantizedModel.Quantize(_checkpoint, settings, calibration, Path.Combine(_work, "quantized"));
        double seconds = clock.Elapsed.TotalSeconds;
        double difference = 0, energy = 0;
        foreach ((float[] a, float[] b) in _reference.Zip(Logits(model.ReadDequantized)))
        {
            difference += a.Zip(b, (x, y) => Math.Pow(x - y, 2)).Sum();
            energy += a.Sum(x => (double)x * x);
        }

        _log(string.Create(CultureInfo.InvariantCulture, $"{Name(settings)}: {model.BitsPerWeight:0.00} bits, logits {Math.Sqrt(difference / energy):0.0000}, {seconds:0.0} s{Formats(model)}"));
        return model;
    }

    /// <summary>An adapter on the base in full precision (null) or quantized.</summary>
    public void Train(QuantizationSettings? settings, QuantizedModel? model, AdapterSettings adapter, long seed)
    {
        Func<string, float[]> read = model is null ? _checkpoint.Read : model.ReadDequantized;
        var clock = Stopwatch.StartNew();
        SftResult result = SftRecipe.Run(_checkpoint.Config, read, _train, new SftOptions { Adapter = adapter, Seed = seed });
        _log(string.Create(CultureInfo.InvariantCulture, $"{(settings is null ? "full precision" : Name(settings))}, seed {seed}: adapter gets {100 * Accuracy(read, result.Adapter):0.00}% of {_test.Count}; loss {result.Losses.TakeLast(10).Average():0.0000}, {clock.Elapsed.TotalSeconds:0} s"));
    }

    /// <inheritdoc/>
    public void Dispose() => _checkpoint.Dispose();

    private static string Name(QuantizationSettings s) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(s.BitsPerWeight is double bits ? $"mixed {bits:0.00}" : s.Weights.ToString().ToLowerInvariant())} block {s.Block} {s.Quality.ToString().ToLowerInvariant()}");

    private static string Formats(QuantizedModel model) => model.Options.BitsPerWeight is null
        ? ""
        : "; " + string.Join(' ', model.Weights.Where(w => w.Name.Contains("_proj.weight", StringComparison.Ordinal)).DistinctBy(w => w.Data).GroupBy(w => w.Data.Split('.')[2]).Select(g => string.Join('/', g.Select(w => w.Format.Bits()))));

    private SftDataset Encode(string path) => SftDataset.Encode(path, TrainingData.Read(path), _tokenizer, _template, null, _checkpoint.Config.MaxPositions);

    private static IEnumerable<int[]> Whole(SftDataset data) => data.Examples.Select(e => (int[])[.. e.Prompt, .. data.GenerationPrompt, .. e.Response]);

    private float[][] Logits(Func<string, float[]> read)
    {
        using Transformer model = Transformer.Load(_checkpoint.Config, read, compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model);
        return [.. _compared.Select(t => decoder.Logits(t, 0).SelectMany(row => row).ToArray())];
    }

    private double Accuracy(Func<string, float[]> read, LoraAdapter adapter)
    {
        using Transformer model = Transformer.Load(_checkpoint.Config, read, compute: ComputeOptions.Full);
        using var decoder = new TorchDecoder(model, adapter);
        int[][] prompts = [.. _test.Select(e => _tokenizer.Encode(_template.Render([e.Turns[0]], addGenerationPrompt: false)))];
        IReadOnlyList<DecodedSequence> decoded = decoder.Decode(prompts, _train.GenerationPrompt, [_tokenizer.TokenId("<|im_end|>")!.Value], MaxTokens);
        return _test.Zip(decoded).Average(p => _tokenizer.Decode(p.Second.Tokens).Split("</think>")[^1].Trim() == p.First.Answer ? 1.0 : 0.0);
    }
}
