using BenchmarkDotNet.Attributes;

using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Runtime.Sessions;

namespace ModelSdk.Benchmarks;

/// <summary>One decode step: choose a token, run it.</summary>
[MemoryDiagnoser]
public class DecodeBenchmarks
{
    private const int Context = 128;
    private readonly int[] _token = new int[1];
    private readonly TokenSampler _sampler = new(SamplingOptions.Greedy);
    private ReasoningModel _model = null!;
    private TokenCache _cache = null!;
    private GraphSession _graph = null!;

    public static IEnumerable<string> Modes => BundleManifest.Read(BundleUnderTest.Folder).Modes;

    [ParamsSource(nameof(Modes))]
    public string Mode { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        _model = ReasoningModel.LoadAsync(BundleUnderTest.Folder).GetAwaiter().GetResult();
        _cache = Benchmarking.NewCache(_model);
        _graph = _model.Loaded.Sessions[_model.Loaded.Sessions.IndexOf(Mode)];
        _cache.Append(_model.Loaded.Sessions.Base, Benchmarking.Tokens(_model, Context), logits: true, CancellationToken.None);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _cache.Dispose();
        _model.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    [Benchmark]
    public int Step()
    {
        _cache.Rewind(Context);
        _token[0] = _sampler.Choose(_cache.Logits[.._model.Loaded.Vocabulary]);
        _cache.Append(_graph, _token, logits: true, CancellationToken.None);
        return _token[0];
    }
}

/// <summary>One step of many sequences at once, without choosing tokens.</summary>
[MemoryDiagnoser]
public class BatchBenchmarks
{
    private const int Context = 128;
    private ReasoningModel _model = null!;
    private BatchCache _cache = null!;
    private GraphSession _graph = null!;

    public static IEnumerable<string> Modes => BundleManifest.Read(BundleUnderTest.Folder).Modes;

    [ParamsSource(nameof(Modes))]
    public string Mode { get; set; } = "";

    [Params(1, 8, 16, 32, 64)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _model = ReasoningModel.LoadAsync(BundleUnderTest.Folder, new ReasoningModelOptions { Threads = 1 }).GetAwaiter().GetResult();
        _graph = _model.Loaded.Sessions[_model.Loaded.Sessions.IndexOf(Mode)];
        using TokenCache prompt = Benchmarking.NewCache(_model);
        prompt.Append(_model.Loaded.Sessions.Base, Benchmarking.Tokens(_model, Context), logits: true, CancellationToken.None);
        _cache = Benchmarking.NewBatch(_model, Rows);
        for (int i = 0; i < Rows; i++)
            _cache.Add(prompt).Next = i;
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _cache.Dispose();
        _model.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    [Benchmark]
    public int Step()
    {
        foreach (BatchRow row in _cache.Rows)
            _cache.Rewind(row, Context);
        _cache.Step(_graph);
        return _cache.Rows.Count;
    }
}

/// <summary>Encoding of a prompt by the base into an empty cache.</summary>
public class PrefillBenchmarks
{
    private ReasoningModel _model = null!;
    private TokenCache _cache = null!;
    private int[] _tokens = [];

    [Params(128, 256, 384)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _model = ReasoningModel.LoadAsync(BundleUnderTest.Folder).GetAwaiter().GetResult();
        _cache = Benchmarking.NewCache(_model);
        _tokens = Benchmarking.Tokens(_model, Math.Min(Tokens, _cache.Context));
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _cache.Dispose();
        _model.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    [Benchmark]
    public int Encode()
    {
        _cache.Rewind(0);
        _cache.Append(_model.Loaded.Sessions.Base, _tokens, logits: true, CancellationToken.None);
        return _cache.Length;
    }
}

/// <summary>Time from a question to its first token, through the public interface.</summary>
public class FirstTokenBenchmarks
{
    private static readonly string Question = string.Concat(Enumerable.Repeat("Ann has 3 apples. Ben has 5 more than Ann. ", 6)) + "How many has Ben?";

    private ReasoningModel _model = null!;
    private Conversation _conversation = null!;
    private ReasoningRequest _chat = null!;
    private ReasoningRequest _reason = null!;

    [GlobalSetup]
    public void Setup()
    {
        _model = ReasoningModel.LoadAsync(BundleUnderTest.Folder).GetAwaiter().GetResult();
        _chat = ReasoningRequest.FromQuestion(Question) with { Mode = BundleManifest.BaseMode, MaxTokens = 1 };
        _reason = _chat with { Mode = _model.Bundle.Modes.Last() };
        _conversation = _model.StartConversation();
        Answer(() => _conversation.AnswerAsync(_chat));
    }

    [GlobalCleanup]
    public void Cleanup() => _model.DisposeAsync().AsTask().GetAwaiter().GetResult();

    [Benchmark(Baseline = true)]
    public int Base() => Answer(() => _model.AnswerAsync(_chat));

    [Benchmark]
    public int ReasonReencoded() => Answer(() => _model.AnswerAsync(_reason));

    /// <summary>The prompt is encoded: every round switches to the adapter, which runs the generation prompt only.</summary>
    [Benchmark]
    public int ReasonShared()
    {
        Answer(() => _conversation.AnswerAsync(_chat with { MaxTokens = 1 }));
        return Answer(() => _conversation.AnswerAsync(_reason));
    }

    private static int Answer(Func<Task<ReasoningResult>> call) => call().GetAwaiter().GetResult().Usage.GeneratedTokens;
}

/// <summary>Loading with every digest checked, and with lengths only.</summary>
public class LoadBenchmarks
{
    [Params(BundleCheck.Full, BundleCheck.Lengths)]
    public BundleCheck Check { get; set; }

    [Benchmark]
    public async Task<int> Load()
    {
        await using ReasoningModel model = await ReasoningModel.LoadAsync(BundleUnderTest.Folder, new ReasoningModelOptions { Check = Check });
        return model.Bundle.Context;
    }
}

/// <summary>What the benchmarks share.</summary>
internal static class Benchmarking
{
    public static TokenCache NewCache(ReasoningModel model) =>
        new(model.Bundle.Architecture, model.Bundle.Context, new ReasoningModelOptions().PrefillChunk, model.Loaded.Sessions.Modes.Count);

    public static BatchCache NewBatch(ReasoningModel model, int rows) =>
        new(model.Bundle.Architecture, rows, model.Bundle.Context, new ReasoningModelOptions().PrefillChunk);

    public static int[] Tokens(ReasoningModel model, int count) =>
        [.. Enumerable.Range(0, count).Select(i => (int)((i * 7919L + 17) % model.Loaded.Vocabulary))];
}
