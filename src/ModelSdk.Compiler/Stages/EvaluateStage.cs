using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Stages;

/// <summary>
/// Measures what was compiled, in a draft of the bundle: the base, each adapter after sft and as shipped (free, with a budget stated, under hard
/// budgets), the switcher, and votes of parallel streams; and each adapter in Torch at full precision, so that the report shows what quantization
/// and export cost.
/// </summary>
internal static class EvaluateStage
{
    private const int Version = 3;
    private const int Traces = 6;

    public static StageKey Key(CompileInputs inputs, StageKey export)
    {
        ModelManifest manifest = inputs.Manifest;
        EvaluationSettings settings = manifest.Evaluation!;
        StageKeyBuilder key = new StageKeyBuilder(StageNames.Evaluate, Version)
            .Add("export", export)
            .Add("data", inputs.Evaluation!.Sha256)
            .Add("maxExamples", settings.MaxExamples ?? -1)
            .Add("maxTokens", settings.MaxTokens)
            .AddText(inputs)
            .AddOutput(inputs)
            .AddGrading(inputs);
        if (inputs.StatesBudget)
        {
            key.Add("budget", manifest.StatedBudget!.Value)
                .Add("budgetText", manifest.Prompt.Budget)
                .Add("temperature", settings.Temperature)
                .Add("seeds", settings.Seeds)
                .Add("seed", manifest.Seed);
        }

        if (settings.HardBudgets.Count > 0)
        {
            key.Add("hardBudgets", string.Join(',', settings.HardBudgets))
                .Add("hardBudgetText", manifest.Prompt.Budget)
                .Add("forceAnswer", manifest.Prompt.ForceAnswer)
                .Add("answerTokens", manifest.AnswerTokens);
        }

        if (inputs.Routing is not null)
        {
            key.Add("switcherData", inputs.Routing.Sha256);
        }

        if (inputs.Streams is not null)
        {
            key.Add("streams", string.Join(',', settings.Streams))
                .Add("streamData", inputs.Streams.Sha256)
                .Add("streamTemperature", settings.StreamTemperature)
                .Add("streamSeeds", settings.Seeds)
                .Add("streamSeed", manifest.Seed)
                .Add("votes", manifest.Answer.Type.ToString()); // with a grader the votes are still counted by type
            foreach (AdapterSettings adapter in manifest.Adapters.Where(a => a.Verifier is not null))
            {
                key.Add("verification", adapter.Verifier!.Prompt);
            }
        }

        return key.Build();
    }

    public static async Task RunAsync(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        IReadOnlyList<StoreEntry> trained,
        IReadOnlyList<StoreEntry> shipped,
        StoreEntry exported,
        StageFolders folders,
        Action<string, double> progress,
        CancellationToken cancellationToken)
    {
        ModelManifest manifest = inputs.Manifest;
        EvaluationSettings settings = manifest.Evaluation!;
        IReadOnlyList<Question> Read(string file, InputFile input, int? most = null, IReadOnlyList<string>? modes = null) =>
            Question.Read(resolved.File(file), input.Path, inputs.ReadableAnswer, most, modes);
        IReadOnlyList<Question> questions = Read(ResolveStage.EvaluationData, inputs.Evaluation!, settings.MaxExamples);
        StageTimings timings = new();
        EvaluationProgress steps = new(progress, Count(inputs));
        PromptEncoder encoder = new(resolved.File(ResolveStage.BaseFolder), manifest.Prompt);

        // Torch first: it is not loaded while the deployed model is measured.
        List<IReadOnlyList<ScoredAnswer>> torch;
        IGrader grader = Grader.For(inputs);
        using (timings.Time("torch"))
        {
            torch = AskTorch(inputs, resolved, quantized, shipped, encoder, grader, questions, steps, cancellationToken);
        }

        string draft = Path.Combine(folders.Work, "draft");
        try
        {
            List<AdapterForms> forms = WriteDraft(inputs, resolved, quantized, trained, shipped, exported, draft);
            ReasoningModelOptions options = new() { Threads = 1, MaxConcurrentCalls = Environment.ProcessorCount };
            await using ReasoningModel model = await ReasoningModel.LoadAsync(draft, options, cancellationToken).ConfigureAwait(false);
            using Examiner examiner = new(model, encoder, grader, cancellationToken);
            IReadOnlyList<ScoredAnswer> direct;
            using (timings.Time("base"))
            {
                direct = examiner.Ask(BundleManifest.BaseMode, questions, new Examination(settings.MaxTokens), steps.Next("base, greedy"));
            }

            int? budget = inputs.StatesBudget ? manifest.StatedBudget : null;
            List<AdapterExamination.Answers> answers = [];
            List<HardBudgetResult> hard = [];
            foreach ((AdapterForms form, IReadOnlyList<ScoredAnswer> reference) in forms.Zip(torch))
            {
                answers.Add(AdapterExamination.Run(examiner, form, questions, settings, budget, manifest.Seed, reference, timings, steps.Next));
                using (timings.Time("hard budgets"))
                {
                    hard.AddRange(AdapterExamination.HardBudgets(examiner, form, questions, settings.HardBudgets, settings.MaxTokens, steps.Next));
                }
            }

            SwitcherResult? switcher = null;
            if (inputs.Routing is not null)
            {
                using (timings.Time("switcher"))
                {
                    switcher = await SwitcherExamination.RunAsync(
                        examiner,
                        Read(ResolveStage.RoutingData, inputs.Routing, modes: inputs.Modes),
                        settings.MaxTokens,
                        steps.Next,
                        cancellationToken).ConfigureAwait(false);
                }
            }

            List<StreamExamination.Results> streams = [];
            if (inputs.Streams is not null)
            {
                IReadOnlyList<Question> asked = Read(ResolveStage.StreamData, inputs.Streams, settings.StreamData is null ? settings.MaxExamples : null);
                foreach (string name in Voters(manifest))
                {
                    streams.Add(await StreamExamination.RunAsync(examiner, name, name, asked, settings, manifest.Seed, timings, steps.Next, cancellationToken).ConfigureAwait(false));
                }
            }

            new EvaluationResults
            {
                Examples = questions.Count,
                MaxTokens = settings.MaxTokens,
                Temperature = budget is null ? 0 : settings.Temperature,
                Seeds = budget is null && streams.Count == 0 ? 0 : settings.Seeds,
                Base = ModeResult.Of(direct),
                BaseFailures = Failures.Wrong(questions, direct),
                Adapters = new(forms.Zip(answers).ToDictionary(p => p.First.Name, p => p.Second.Result), StringComparer.Ordinal),
                HardBudgets = hard,
                Switcher = switcher,
                Verifiers = [.. streams.Select(s => s.Verifier).OfType<VerifierResult>()],
                Parallel = [.. streams.SelectMany(s => s.Parallel)],
                EarlyStopping = [.. streams.SelectMany(s => s.EarlyStopping)],
                Traces = [.. Pick(questions.Count).Select(i => Trace(questions[i], i, direct, forms, answers))],
            }.Write(Path.Combine(folders.Output, EvaluationResults.FileName));
        }
        finally
        {
            if (Directory.Exists(draft))
            {
                Directory.Delete(draft, recursive: true);
            }
        }

        timings.Write(Path.Combine(folders.Output, StageTimings.FileName));
    }

    /// <summary>The adapters whose streams are measured: those with a verifier; where there is none, the one that gates judge.</summary>
    private static string[] Voters(ModelManifest manifest)
    {
        string[] verified = [.. manifest.Adapters.Where(a => a.Verifier is not null).Select(a => a.Name)];
        return verified.Length > 0 ? verified : [Gates.Subject(manifest)!];
    }

    // The very files that will be shipped, beside those that sft left where budget forcing came after it.
    private static List<AdapterForms> WriteDraft(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        IReadOnlyList<StoreEntry> trained,
        IReadOnlyList<StoreEntry> shipped,
        StoreEntry exported,
        string draft)
    {
        QuantizedModel model = QuantizedModel.Open(quantized.Folder);
        HashSet<string> taken = new(inputs.Modes, StringComparer.OrdinalIgnoreCase);
        List<AdapterForms> forms = [];
        List<BundleAdapter> drafts = [];
        foreach ((AdapterSettings adapter, StoreEntry sft, StoreEntry final) in inputs.Manifest.Adapters.Zip(trained, shipped))
        {
            string name = adapter.Name;
            if (sft.Key != final.Key)
            {
                name += ".sft";
                while (!taken.Add(name))
                {
                    name += "_";
                }

                drafts.Add(GraphExporter.WriteAdapter(model, LoraAdapter.Load(sft.Folder), name, new GraphOptions { Context = inputs.Context }, draft));
            }

            forms.Add(new AdapterForms(adapter.Name, name, adapter.Name));
        }

        BundleAssembly.Write(inputs, resolved, quantized, exported, BundleAssembly.Draft(inputs.Manifest), null, draft, drafts);
        return forms;
    }

    private static List<IReadOnlyList<ScoredAnswer>> AskTorch(
        CompileInputs inputs,
        StoreEntry resolved,
        StoreEntry quantized,
        IReadOnlyList<StoreEntry> shipped,
        PromptEncoder encoder,
        IGrader grader,
        IReadOnlyList<Question> questions,
        EvaluationProgress steps,
        CancellationToken cancellationToken)
    {
        List<IReadOnlyList<ScoredAnswer>> all = [];
        if (shipped.Count == 0)
        {
            return all;
        }

        ModelManifest manifest = inputs.Manifest;
        IReadOnlyList<int> ends = EndTokens.Of(resolved.File(ResolveStage.BaseFolder), encoder);
        using Transformer transformer = TorchModel.Load(QuantizedModel.Open(quantized.Folder));
        foreach ((AdapterSettings adapter, StoreEntry entry) in manifest.Adapters.Zip(shipped))
        {
            Action<string, double> report = steps.Next($"{adapter.Name}, Torch at full precision");
            report($"{questions.Count} questions", 0);
            using TorchDecoder decoder = new(transformer, LoraAdapter.Load(entry.Folder), adapter.Masked);
            IReadOnlyList<DecodedSequence> decoded = decoder.Decode(
                [.. questions.Select(q => encoder.Prompt(q.Turns))], encoder.GenerationPrompt(), ends.ToHashSet(), manifest.Evaluation!.MaxTokens, cancellation: cancellationToken);
            List<(string? Reasoning, string Answer, string Output)> texts =
            [
                .. decoded.Select(d =>
                {
                    string output = encoder.Tokenizer.Decode(d.Tokens, skipSpecialTokens: true);
                    (string? reasoning, string answer) = OutputText.Split(output, manifest.Prompt.ThinkOpen, manifest.Prompt.ThinkClose);
                    return (reasoning, answer, output);
                }),
            ];
            IReadOnlyList<double> scores = grader.Grade(
                [.. questions.Zip(texts, (q, t) => new GradedAnswer($"{q.Line}", q.Text, q.Expected, t.Answer, t.Output))],
                cancellationToken);
            all.Add([.. texts.Select((t, i) => new ScoredAnswer(t.Answer, t.Reasoning, decoded[i].Tokens.Length, scores[i] >= 0.5, decoded[i].Ended))]);
            report("done", 1);
        }

        return all;
    }

    private static ExampleTrace Trace(Question question, int index, IReadOnlyList<ScoredAnswer> direct, List<AdapterForms> forms, List<AdapterExamination.Answers> answers)
    {
        SortedDictionary<string, ScoredAnswer> modes = new(StringComparer.Ordinal) { [BundleManifest.BaseMode] = direct[index] };
        foreach ((AdapterForms form, AdapterExamination.Answers asked) in forms.Zip(answers))
        {
            modes[form.Name] = asked.Shipped[index];
            if (form.Forced)
            {
                modes[form.Name + ".sft"] = asked.Sft[index];
            }

            if (asked.ShippedStated is not null)
            {
                modes[form.Name + ".stated"] = asked.ShippedStated[index];
            }
        }

        return new ExampleTrace(question.Text, question.Expected, modes);
    }

    // Evenly over the data, so that kinds of questions that follow each other all show.
    private static IEnumerable<int> Pick(int count) => Enumerable.Range(0, Math.Min(Traces, count)).Select(i => (int)((long)i * count / Math.Min(Traces, count)));

    // Examinations, for the share of progress.
    private static int Count(CompileInputs inputs)
    {
        EvaluationSettings settings = inputs.Manifest.Evaluation!;
        int perForm = (inputs.StatesBudget ? 3 : 1) + settings.HardBudgets.Distinct().Count();
        int streams = inputs.Streams is null ? 0 : settings.Seeds + StreamExamination.Policies.Count(p => !StreamReplay.CanReplay(p.Voting));
        return 1
            + inputs.Manifest.Adapters.Sum(a => 1 + (perForm * (a.Budget is null ? 1 : 2)))
            + (inputs.Routing is null ? 0 : 2 + inputs.Manifest.Adapters.Count)
            + (inputs.Streams is null ? 0 : streams * Voters(inputs.Manifest).Length);
    }
}

/// <summary>Joins the progress of examinations that follow each other.</summary>
/// <param name="report">Text and share of all.</param>
/// <param name="count">Examinations to come.</param>
internal sealed class EvaluationProgress(Action<string, double> report, int count)
{
    private int _begun;

    /// <summary>Begins the next examination.</summary>
    public Action<string, double> Next(string title)
    {
        double before = _begun++;
        return (text, share) => report($"{title}: {text}", Math.Min(1, (before + share) / count));
    }
}
