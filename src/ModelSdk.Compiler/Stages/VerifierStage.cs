using System.Diagnostics;
using System.Globalization;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Rollouts;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Decoding;
using ModelSdk.Training;
using ModelSdk.Training.Heads;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Trains the verifier of one adapter (paper 5): samples the adapter as deployed, grades the answers, and learns from the hidden states behind
/// them which are right. No budget is stated, as in the streams that it will judge.
/// </summary>
internal static class VerifierStage
{
    private const int Version = 2;
    private const int DefaultMaxTokens = 512; // as budget forcing, where the adapter has none

    public static StageKey Key(CompileInputs inputs, AdapterSettings adapter, StageKey trained)
    {
        VerifierSettings verifier = adapter.Verifier!;
        return new StageKeyBuilder(StageNames.Verifier, Version)
            .Add("adapter", trained)
            .Add("data", inputs.Verifier[adapter.Name].Sha256)
            .AddText(inputs)
            .AddOutput(inputs)
            .AddGrading(inputs)
            .Add("context", inputs.Context)
            .Add("seed", inputs.Manifest.Seed)
            .Add("maxTokens", MaxTokens(adapter))
            .Add("questions", verifier.Questions)
            .Add("samples", verifier.Samples)
            .Add("temperature", verifier.Temperature)
            .Add("holdout", verifier.Holdout)
            .Add("prompt", verifier.Prompt)
            .Add("lora", verifier.Lora)
            .Add("confidence", verifier.Confidence)
            .Add("steps", verifier.Steps)
            .Add("batchSize", verifier.BatchSize)
            .Add("learningRate", verifier.LearningRate)
            .Build();
    }

    /// <summary>Most tokens of a sampled answer.</summary>
    public static int MaxTokens(AdapterSettings adapter) => adapter.Budget?.MaxTokens ?? DefaultMaxTokens;

    public static void Run(
        CompileInputs inputs,
        AdapterSettings adapter,
        StoreEntry resolved,
        StoreEntry quantized,
        StoreEntry trained,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        // 1. Questions, evenly over the data.
        VerifierSettings settings = adapter.Verifier!;
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), inputs.Manifest.Prompt);
        IReadOnlyList<Question> all = Question.Read(
            resolved.File(ResolveStage.VerifierFile(adapter.Name)),
            inputs.Verifier[adapter.Name].Path,
            inputs.Manifest.Grader is null ? inputs.Manifest.Answer : null,
            most: null);
        int count = Math.Min(settings.Questions, all.Count);
        List<Question> questions = [.. Enumerable.Range(0, count).Select(i => all[(int)((long)i * all.Count / count)])];
        List<int[]> prompts = [.. questions.Select(q => encoder.Prompt(q.Turns))];

        // 2. Answers of the adapter as deployed.
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        LoraAdapter deployed = GraphExporter.AsDeployed(model, LoraAdapter.Load(trained.Folder));
        int[] verification = encoder.Tokenizer.Encode(settings.Prompt);
        int room = inputs.Context - prompts.Max(p => p.Length) - encoder.GenerationPrompt().Length - verification.Length;
        BatchOptions options = new(encoder.GenerationPrompt(), new SamplingOptions { Temperature = (float)settings.Temperature }, Math.Min(MaxTokens(adapter), room));
        IReadOnlyList<BatchSequence> sequences;
        using (RolloutEngine engine = RolloutGraph.Open(inputs, resolved, model, deployed, encoder, folders))
        {
            long started = Stopwatch.GetTimestamp();
            sequences = engine.Sample(
                [.. prompts.Select((tokens, i) => new BatchPrompt(tokens, settings.Samples, null, Seeds.Of(inputs.Manifest.Seed, Seeds.Verifier, i)))],
                options,
                p => progress(
                    string.Create(CultureInfo.InvariantCulture, $"{p.Finished} of {p.Sequences} answers, {p.Tokens / Stopwatch.GetElapsedTime(started).TotalSeconds:F0} tokens/s"),
                    0.6 * p.Finished / p.Sequences),
                cancellationToken);
        }

        // 3. Which are right.
        progress("grading", 0.6);
        IReadOnlyList<double> scores = Grader.For(inputs).Grade(
            [.. sequences.Select((s, i) => new GradedAnswer($"{questions[s.Prompt].Line}", questions[s.Prompt].Text, questions[s.Prompt].Expected, s.Text, encoder.Output(s)))],
            cancellationToken);
        IEnumerable<VerifierQuestion> labelled = sequences.Zip(scores)
            .GroupBy(p => p.First.Prompt)
            .OrderBy(g => g.Key)
            .Select(g => new VerifierQuestion(prompts[g.Key], [.. g.OrderBy(p => p.First.Sample).Select(p => new VerifierSample(Completion(p.First), p.Second >= 0.5, p.First.Confidence))]));

        // 4. The head.
        progress("encoding answers", 0.62);
        TorchLibrary.EnsureLoaded();
        Training.Heads.VerifierResult result = VerifierTrainer.Run(
            model.Architecture,
            model.ReadDequantized,
            deployed,
            new VerifierData(encoder.GenerationPrompt(), verification, [.. labelled]),
            new VerifierOptions
            {
                Lora = settings.Lora,
                Confidence = settings.Confidence,
                Holdout = settings.Holdout,
                Steps = settings.Steps,
                BatchSize = settings.BatchSize,
                LearningRate = settings.LearningRate,
                Seed = inputs.Manifest.Seed,
            },
            new DirectProgress<HeadProgress>(p => progress(string.Create(CultureInfo.InvariantCulture, $"step {p.Step} of {p.Steps}, loss {p.Loss:F4}"), 0.65 + (0.35 * p.Step / p.Steps))),
            cancellationToken);
        result.Head.Save(folders.Output);
        new HeadSummary(sequences.Count, result.HeldOut, Statistics.Finite(result.Auc), Statistics.Round(result.Right), result.Losses).Write(Path.Combine(folders.Output, HeadSummary.FileName));
        progress(string.Create(CultureInfo.InvariantCulture, $"AUC {result.Auc:F3} on {result.HeldOut} held-out answers, {100 * result.Right:F0}% of all right"), 1);
    }

    // The verification prompt begins with the end of the turn.
    private static int[] Completion(BatchSequence sequence) => sequence.Ended ? sequence.Tokens[..^1] : sequence.Tokens;
}
