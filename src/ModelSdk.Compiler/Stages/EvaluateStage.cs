using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Asks every evaluation question of every mode: the base and each adapter as deployed (the runtime on the exported graphs), and each
/// adapter in Torch at full precision, so that the report shows what quantization and export cost. Greedy, no budget stated.
/// </summary>
internal static class EvaluateStage
{
    private const int Version = 1;
    private const int Traces = 6;

    public static StageKey Key(CompileInputs inputs, StageKey export)
    {
        ModelManifest manifest = inputs.Manifest;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Evaluate, Version)
            .Add("export", export)
            .Add("data", inputs.Evaluation!.Sha256)
            .Add("maxExamples", manifest.Evaluation!.MaxExamples ?? -1)
            .Add("maxTokens", manifest.Evaluation.MaxTokens)
            .Add("system", manifest.Prompt.System)
            .Add("thinkOpen", manifest.Prompt.ThinkOpen)
            .Add("thinkClose", manifest.Prompt.ThinkClose)
            .Add("answer", manifest.Answer.Type.ToString());
        foreach (ChoiceSettings choice in manifest.Answer.Choices)
        {
            key.Add("choice", choice.Text);
        }

        foreach (string name in (IEnumerable<string>)["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"])
        {
            key.Add(name, inputs.BaseDigest(name));
        }

        return key.Build();
    }

    public static async Task RunAsync(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        IReadOnlyList<StoreEntry> trained,
        StoreEntry exported,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        ModelManifest manifest = inputs.Manifest;
        EvaluationSettings settings = manifest.Evaluation!;
        IReadOnlyList<Question> questions = Question.Read(resolved.File(ResolveStage.EvaluationData), inputs.Evaluation!.Path, manifest.Answer, settings.MaxExamples);
        int modes = 1 + (2 * manifest.Adapters.Count);
        int done = 0;
        Action<string, double> Part(string title) => (text, share) => progress($"{title}: {text}", (done + share) / modes);

        // Deployed: the very files that will be shipped, in a bundle without results, beside the output.
        string draft = Path.Combine(folders.Work, "draft");
        SortedDictionary<string, IReadOnlyList<ScoredAnswer>> deployed = new(StringComparer.Ordinal);
        try
        {
            BundleAssembly.Write(inputs, resolved, quantized, exported, BundleAssembly.Draft, null, draft);
            ReasoningModelOptions options = new() { Threads = 1, MaxConcurrentCalls = Environment.ProcessorCount };
            await using ReasoningModel model = await ReasoningModel.LoadAsync(draft, options, cancellationToken).ConfigureAwait(false);
            foreach (string mode in model.Bundle.Modes)
            {
                deployed[mode] = await AskDeployedAsync(model, mode, questions, settings.MaxTokens, manifest.Answer, Part($"{mode}, deployed"), cancellationToken).ConfigureAwait(false);
                done++;
            }
        }
        finally
        {
            if (Directory.Exists(draft))
            {
                Directory.Delete(draft, recursive: true);
            }
        }

        SortedDictionary<string, AdapterResult> adapters = new(StringComparer.Ordinal);
        if (manifest.Adapters.Count > 0)
        {
            PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), manifest.Prompt.System);
            IReadOnlyList<int> ends = EndTokens.Of(resolved.File(ResolveStage.BaseFolder), encoder);
            using Transformer transformer = TorchModel.Load(QuantizedModel.Open(quantized.Folder));
            foreach ((AdapterSettings adapter, StoreEntry entry) in manifest.Adapters.Zip(trained))
            {
                IReadOnlyList<ScoredAnswer> torch = AskTorch(transformer, LoraAdapter.Load(entry.Folder), adapter.Masked, encoder, ends, questions, settings.MaxTokens, manifest, Part($"{adapter.Name}, Torch at full precision"), cancellationToken);
                IReadOnlyList<ScoredAnswer> shipped = deployed[adapter.Name];
                double same = questions.Count == 0 ? 1 : torch.Zip(shipped).Count(pair => pair.First.Right == pair.Second.Right) / (double)questions.Count;
                adapters[adapter.Name] = new AdapterResult
                {
                    Sft = ModeResult.Of(shipped),
                    Torch = ModeResult.Of(torch),
                    SameAnswers = Statistics.Round(same),
                    Lengths = Lengths.Of(shipped, null),
                    Failures = new AdapterFailures(
                        Failures.Wrong(questions, shipped),
                        Failures.Longest(questions, shipped),
                        [],
                        []),
                };
                done++;
            }
        }

        new EvaluationResults
        {
            Examples = questions.Count,
            MaxTokens = settings.MaxTokens,
            Base = ModeResult.Of(deployed[ModelManifest.BaseMode]),
            Adapters = adapters,
            Traces =
            [
                .. Pick(questions.Count).Select(i => new ExampleTrace(
                    questions[i].Text,
                    questions[i].Expected,
                    new SortedDictionary<string, ScoredAnswer>(deployed.ToDictionary(d => d.Key, d => d.Value[i]), StringComparer.Ordinal))),
            ],
        }.Write(Path.Combine(folders.Output, EvaluationResults.FileName));
    }

    /// <summary>Asks a loaded model, as many questions at once as it runs calls; each decode has one thread, which is the fastest for many small ones.</summary>
    internal static async Task<IReadOnlyList<ScoredAnswer>> AskDeployedAsync(
        ReasoningModel model,
        string mode,
        IReadOnlyList<Question> questions,
        int maxTokens,
        AnswerSettings answer,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        IReadOnlyList<string> choices = [.. answer.Choices.Select(c => c.Text)];
        ScoredAnswer[] answers = new ScoredAnswer[questions.Count];
        int done = 0;
        int right = 0;
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, questions.Count, parallel, async (i, token) =>
        {
            ReasoningRequest request = new() { Turns = questions[i].Turns, Mode = mode, MaxTokens = maxTokens };
            ReasoningResult result = await model.AnswerAsync(request, token).ConfigureAwait(false);
            bool correct = AnswerScorer.IsRight(answer.Type, choices, questions[i].Expected, result.Text);
            answers[i] = new ScoredAnswer(result.Text, result.Reasoning, result.Usage.GeneratedTokens, correct, result.Finish is FinishReason.Stop or FinishReason.StopText);
            int count = Interlocked.Increment(ref done);
            int hits = correct ? Interlocked.Increment(ref right) : Volatile.Read(ref right);
            progress($"{count} of {questions.Count} questions, {100.0 * hits / count:F1}% right", (double)count / questions.Count);
        }).ConfigureAwait(false);
        return answers;
    }

    private static List<ScoredAnswer> AskTorch(
        Transformer transformer,
        LoraAdapter adapter,
        bool masked,
        PromptEncoder encoder,
        IReadOnlyList<int> ends,
        IReadOnlyList<Question> questions,
        int maxTokens,
        ModelManifest manifest,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        progress($"{questions.Count} questions", 0);
        using TorchDecoder decoder = new(transformer, adapter, masked);
        IReadOnlyList<DecodedSequence> decoded = decoder.Decode([.. questions.Select(q => encoder.Prompt(q.Turns))], encoder.GenerationPrompt(), ends.ToHashSet(), maxTokens, cancellation: cancellationToken);
        IReadOnlyList<string> choices = [.. manifest.Answer.Choices.Select(c => c.Text)];
        List<ScoredAnswer> answers = [];
        foreach ((Question question, DecodedSequence sequence) in questions.Zip(decoded))
        {
            (string? reasoning, string text) = OutputText.Split(encoder.Tokenizer.Decode(sequence.Tokens, skipSpecialTokens: true), manifest.Prompt.ThinkOpen, manifest.Prompt.ThinkClose);
            answers.Add(new ScoredAnswer(text, reasoning, sequence.Tokens.Length, AnswerScorer.IsRight(manifest.Answer.Type, choices, question.Expected, text), sequence.Ended));
        }

        progress($"{100.0 * answers.Count(a => a.Right) / Math.Max(1, answers.Count):F1}% right", 1);
        return answers;
    }

    // Evenly over the data, so that kinds of questions that follow each other all show.
    private static IEnumerable<int> Pick(int count) => Enumerable.Range(0, Math.Min(Traces, count)).Select(i => (int)((long)i * count / Math.Min(Traces, count)));
}
