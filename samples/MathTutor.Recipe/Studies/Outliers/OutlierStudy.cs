using System.Diagnostics;
using System.Globalization;
using MathTutor.Recipe.Pretraining;
using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Text;
using ModelSdk.Training;
using static TorchSharp.torch;

namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>A base to measure and how it is quantized.</summary>
/// <param name="Name">Name in the report.</param>
/// <param name="Planted">Whether outliers are planted first.</param>
/// <param name="Transformed">Whether transforms are solved and merged after that.</param>
/// <param name="Bits">Bits of the linears' weights, one scale an output channel; null: nothing is quantized.</param>
/// <param name="Range">How scales are chosen.</param>
/// <param name="Cache">Whether keys and values are rounded to 8 bits with one scale a layer.</param>
internal sealed record OutlierCase(string Name, bool Planted, bool Transformed, int? Bits, RangeSetting Range, bool Cache);

/// <summary>
/// The paper's tables 8 and 9 in small (paper 6): what naive quantization, ranges of least squared error and transforms leave of the sample's base, whose own int4 in blocks loses
/// nothing, so outliers are planted or bits taken away; what an adapter of the full-precision base does on each; and what training on the quantized base (QAMR) makes good.
/// Everything is simulated in Torch: weights are rounded for each output channel, keys and values for each layer.
/// </summary>
internal sealed class OutlierStudy : IDisposable
{
    /// <summary>Most tokens of an answer: three checks of the deepest problem need 340.</summary>
    private const int MaxTokens = 400;

    /// <summary>Most tokens of a direct answer; a right one has three at most.</summary>
    private const int MaxDirectTokens = 16;

    private const int CalibrationTexts = 64;
    private const int OwnDocuments = 128;
    private const int DocumentsAtOnce = 8;

    private readonly Checkpoint _checkpoint;
    private readonly Tokenizer _tokenizer;
    private readonly ChatTemplate _template;
    private readonly SftDataset _train;
    private readonly IReadOnlyList<TrainingExample> _hard;
    private readonly IReadOnlyList<TrainingExample> _easy;
    private readonly IReadOnlyList<TokenBatch> _documents;
    private readonly string _work;
    private readonly TransformedModel _planted;
    private readonly Action<string> _log;

    /// <summary>Reads the sample and plants the outliers.</summary>
    /// <param name="sample">Folder of the sample.</param>
    /// <param name="workFolder">Keeps the adapter of the full-precision base for the next run.</param>
    /// <param name="outliers">Transforms whose outliers are planted.</param>
    /// <param name="testExamples">Questions of the hard test.</param>
    /// <param name="log">Told each result.</param>
    public OutlierStudy(string sample, string workFolder, Func<OutlierStudy, ModelTransforms> outliers, int testExamples, Action<string> log)
    {
        (_work, _log) = (workFolder, log);
        string folder = Path.Combine(sample, "base");
        _checkpoint = Checkpoint.Open(folder);
        _tokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer.json"));
        _template = ChatTemplate.Load(Path.Combine(folder, "tokenizer_config.json"));
        string train = Path.Combine(sample, "data", "train.jsonl");
        _train = SftDataset.Encode(train, TrainingData.Read(train), _tokenizer, _template, null, Config.MaxPositions);
        _hard = [.. TrainingData.Read(Path.Combine(sample, "data", "test.jsonl")).Take(testExamples)];
        _easy = TrainingData.Read(Path.Combine(sample, "data", "test-easy.jsonl"));
        _documents = Documents(Path.Combine(folder, "tokenizer.json"));
        _planted = new TransformedModel(_checkpoint, outliers(this));
    }

    /// <summary>Shape of the base.</summary>
    public ModelSdk.Runtime.Bundles.TransformerConfig Config => _checkpoint.Config;

    /// <summary>Measures a base: perplexity of its own texts, direct answers, and an adapter of the full-precision base on it.</summary>
    /// <param name="what">The base.</param>
    /// <param name="adapter">Trained on the original base in full precision; it is moved onto this one exactly.</param>
    public void Measure(OutlierCase what, LoraAdapter adapter)
    {
        Base found = Prepare(what);
        using Transformer model = found.Load(ComputeOptions.Full);
        double perplexity = Math.Exp(_documents.Sum(batch => Loss(model, batch)) / _documents.Sum(batch => batch.TotalWeight));
        double direct = Accuracy(model, null, _easy, MaxDirectTokens);
        double moved = Accuracy(model, found.Move(adapter), _hard, MaxTokens);
        _log(string.Create(CultureInfo.InvariantCulture, $"{what.Name} | perplexity {perplexity:0.000} | direct {100 * direct:0.0}% | adapter of the full-precision base {100 * moved:0.0}%"));
    }

    /// <summary>Trains an adapter on a base as it is quantized (QAMR) and measures it there.</summary>
    /// <param name="what">The base.</param>
    /// <param name="adapter">LoRA and schedule.</param>
    /// <param name="seed">Seed.</param>
    public void Train(OutlierCase what, AdapterSettings adapter, long seed)
    {
        Base found = Prepare(what);
        var clock = Stopwatch.StartNew();
        SftResult result = SftRecipe.Run(found.Config, found.Read, _train, new SftOptions { Adapter = adapter, Seed = seed, Compute = ComputeOptions.Fastest with { Cache = found.Cache } });
        double seconds = clock.Elapsed.TotalSeconds;
        using Transformer model = found.Load(ComputeOptions.Full);
        _log(string.Create(CultureInfo.InvariantCulture, $"{what.Name} | adapter trained on it, seed {seed}: {100 * Accuracy(model, result.Adapter, _hard, MaxTokens):0.0}% | loss {result.Losses.TakeLast(10).Average():0.0000}, {seconds:0} s"));
    }

    /// <summary>The adapter of the original base in full precision; kept in the work folder.</summary>
    public LoraAdapter FullPrecision(AdapterSettings adapter, long seed)
    {
        string folder = Path.Combine(_work, string.Create(CultureInfo.InvariantCulture, $"full-{adapter.Sft.Steps}x{adapter.Sft.BatchSize}-{adapter.Sft.LearningRate}-{seed}"));
        if (!File.Exists(Path.Combine(folder, "adapter_config.json")))
        {
            SftRecipe.Run(Config, _checkpoint.Read, _train, new SftOptions { Adapter = adapter, Seed = seed }).Adapter.Save(folder);
        }

        return LoraAdapter.Load(folder);
    }

    /// <inheritdoc/>
    public void Dispose() => _checkpoint.Dispose();

    private Base Prepare(OutlierCase what)
    {
        var bases = new List<TransformedModel>();
        if (what.Planted)
        {
            bases.Add(_planted);
        }

        Base At(Func<string, float[]> read, ModelSdk.Onnx.Quantization.KeyValueScales? cache) => new(bases.Count > 0 ? bases[^1].Config : Config, read, cache, bases);
        Func<string, float[]> Read() => bases.Count > 0 ? bases[^1].ReadSingles : _checkpoint.Read;
        CacheStatistics Statistics()
        {
            using Transformer model = At(Read(), null).Load(ComputeOptions.Full);
            return new CacheStatistics(model, [.. _train.Examples.Take(CalibrationTexts).Select(e => (int[])[.. e.Prompt, .. _train.GenerationPrompt, .. e.Response])]);
        }

        if (what.Transformed)
        {
            Func<string, float[]> before = Read();
            ModelTransforms solved = SolvedTransforms.Of(Config, before, Statistics(), rotate: true);
            bases.Add(new TransformedModel(Config, name => Array.ConvertAll(before(name), v => (double)v), solved));
        }

        Func<string, float[]> full = Read();
        ModelSdk.Onnx.Quantization.KeyValueScales? scales = what.Cache ? Statistics().Scales(what.Range) : null;
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(At(full, null).Config).ToDictionary(t => t.Name, t => t.Shape);
        return At(name => what.Bits is int bits && shapes[name] is [_, long columns]
            ? ChannelRounding.Rows(full(name), (int)columns, name.EndsWith("_proj.weight", StringComparison.Ordinal) ? bits : 8, what.Range)
            : full(name), scales);
    }

    private static double Loss(Transformer model, TokenBatch batch)
    {
        using var gradients = no_grad();
        using var scope = NewDisposeScope();
        return model.Loss(batch, 1).item<float>();
    }

    private double Accuracy(Transformer model, LoraAdapter? adapter, IReadOnlyList<TrainingExample> test, int maxTokens)
    {
        using var decoder = new TorchDecoder(model, adapter);
        int[][] prompts = [.. test.Select(e => _tokenizer.Encode(_template.Render([e.Turns[0]], addGenerationPrompt: false)))];
        IReadOnlyList<DecodedSequence> decoded = decoder.Decode(prompts, _train.GenerationPrompt, [_tokenizer.TokenId("<|im_end|>")!.Value], maxTokens);
        // An answer that the limit cut is wrong, whatever its text says so far.
        return test.Zip(decoded).Average(p => p.Second.Ended && _tokenizer.Decode(p.Second.Tokens).Split("</think>")[^1].Trim() == p.First.Answer ? 1.0 : 0.0);
    }

    /// <summary>Texts as the base was trained on, of problems that are in no file.</summary>
    private static TokenBatch[] Documents(string tokenizer)
    {
        DataFiles data = DataFiles.Create();
        var options = new PretrainingOptions();
        var batches = new Batches(new BpeEncoder(tokenizer), options.TokensPerStep, options.Context);
        var mixture = new Mixture(Dice.For(DataFiles.Seed, "outlier study"), data.HeldOut, data.SmallTalk);
        IEnumerable<Encoded> documents = Enumerable.Range(0, OwnDocuments * 2).Select(_ => batches.Encode(mixture.Next(options.Diet(options.Tokens)))).Where(d => d.Tokens.Length <= options.Context).Take(OwnDocuments);
        return [.. documents.OrderBy(d => d.Tokens.Length).Chunk(DocumentsAtOnce).Select(d => batches.Rectangle(d))];
    }

    /// <summary>A base as it is measured.</summary>
    private sealed record Base(ModelSdk.Runtime.Bundles.TransformerConfig Config, Func<string, float[]> Read, ModelSdk.Onnx.Quantization.KeyValueScales? Cache, IReadOnlyList<TransformedModel> Transforms)
    {
        public Transformer Load(ComputeOptions compute) => Transformer.Load(Config, Read, compute: compute with { Cache = Cache });

        public LoraAdapter Move(LoraAdapter adapter) => Transforms.Aggregate(adapter, (moved, transform) => transform.ToTransformed(moved));
    }
}
