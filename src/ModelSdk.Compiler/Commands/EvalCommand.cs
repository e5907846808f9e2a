using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Evaluation.Graders;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Reports;
using ModelSdk.Compiler.Stages;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc eval BUNDLE --data FILE</c>: measures a compiled model on questions of one's own, by the code of the evaluate stage.</summary>
internal static class EvalCommand
{
    private const int DefaultMaxTokens = 256;
    private const double DefaultTemperature = 0.7;

    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<string> data = new("--data") { HelpName = "FILE", Description = "Questions: JSONL with \"messages\" and \"answer\".", Required = true };
        Option<string[]> modes = new("--mode") { HelpName = "NAME", Description = "A mode to measure: base, an adapter, or auto; may be given several times. Default: all, and auto where there is a switcher." };
        Option<int?> maxExamples = Options.AtLeast("--max-examples", 1, "N", "The first N questions. Default: all.");
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", $"Most tokens of one answer with its reasoning. Default: {DefaultMaxTokens}.");
        Option<int?> budget = Options.AtLeast("--budget", 1, "TOKENS", "State this budget in the prompts of adapters; answers are not cut there. Default: none.");
        Option<int[]> hardBudgets = Options.Numbers("--hard-budgets", "TOKENS,...", "Also state each of these budgets, cut the reasoning there and force the answer.");
        Option<int[]> streams = Options.Numbers("--streams", "N,...", "Also sample so many parallel streams, and let them vote.");
        Option<int?> seeds = Options.AtLeast("--seeds", 1, "N", "Sampling seeds of --streams; without it, sample --budget with so many seeds besides greedy. Default: 1.");
        Option<double?> temperature = new("--temperature") { HelpName = "T", Description = "Temperature of what is sampled. Default: 0.7." };
        temperature.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is double value && !(value > 0 && double.IsFinite(value)))
            {
                result.AddError("--temperature must be above 0.");
            }
        });
        Option<string?> json = Options.Json();
        Command command = new("eval", "Measure a compiled model on questions with known answers.")
        {
            bundle, data, modes, maxExamples, maxTokens, budget, hardBudgets, streams, seeds, temperature, json,
        };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, cancellationToken =>
        {
            EvaluationSettings settings = new()
            {
                MaxExamples = parsed.GetValue(maxExamples),
                MaxTokens = parsed.GetValue(maxTokens) ?? DefaultMaxTokens,
                Budget = parsed.GetValue(budget),
                HardBudgets = new EquatableArray<int>(parsed.GetValue(hardBudgets) ?? []),
                Streams = new EquatableArray<int>(parsed.GetValue(streams) ?? []),
                Seeds = parsed.GetValue(seeds) ?? 1,
                StreamTemperature = parsed.GetValue(temperature) ?? DefaultTemperature,
                Temperature = parsed.GetValue(temperature) ?? DefaultTemperature,
            };
            return RunAsync(parsed.GetValue(bundle)!, Path.GetFullPath(parsed.GetValue(data)!), parsed.GetValue(modes) ?? [], settings, parsed.GetValue(json), cancellationToken);
        }));
        return command;
    }

    private static async Task RunAsync(string bundle, string data, string[] modes, EvaluationSettings settings, string? target, CancellationToken cancellationToken)
    {
        CompilerLog log = Options.TextLog();
        ReasoningModelOptions options = new() { Threads = 1, MaxConcurrentCalls = Environment.ProcessorCount };
        await using ReasoningModel model = await ReasoningModel.LoadAsync(bundle, options, cancellationToken).ConfigureAwait(false);
        BundleManifest manifest = model.Bundle;
        AnswerSettings answer = Answer(manifest.Answer);
        IReadOnlyCollection<string>? labels = manifest.Switcher is not null && DataFile.Read(data, data).All(e => e.Mode is not null) ? [.. manifest.Modes] : null;
        IReadOnlyList<Question> questions = Question.Read(data, data, answer, settings.MaxExamples, labels);
        BundlePrompt texts = manifest.Prompt;
        PromptEncoder encoder = new(bundle, new PromptSettings { System = texts.System, Budget = texts.Budget ?? "", ThinkOpen = texts.ThinkOpen, ThinkClose = texts.ThinkClose, ForceAnswer = texts.ForceAnswer });
        using Examiner examiner = new(model, encoder, new TypeGrader(answer), cancellationToken);
        Action<string, double> Report(string title) => (text, share) => log.Progress(title, null, text, share);

        JsonObject results = [];
        JsonObject output = new() { ["digest"] = manifest.Digest, ["data"] = data, ["maxTokens"] = settings.MaxTokens, ["budget"] = settings.Budget, ["evaluation"] = results };
        string[] chosen = modes.Length > 0 ? [.. modes.Distinct()] : [.. manifest.Modes, .. manifest.Switcher is null ? [] : (string[])[BundleManifest.AutoMode]];
        void Say(string text)
        {
            if (target != "-")
            {
                Console.WriteLine(text);
            }
        }

        foreach (string mode in chosen)
        {
            Examination how = new(settings.MaxTokens) { Stated = mode == BundleManifest.BaseMode ? null : settings.Budget };
            ModeResult result = ModeResult.Of(
                mode == BundleManifest.AutoMode
                    ? await SwitcherExamination.AskAsync(examiner, questions, how, Report, cancellationToken).ConfigureAwait(false)
                    : examiner.Ask(mode, questions, how, Report(mode)),
                how.Stated);
            JsonObject measured = ReportJson.Mode(result);
            results[mode] = measured;
            Say(Line(mode, result));
            if (how.Stated is int budget && settings.Seeds > 1 && mode != BundleManifest.AutoMode)
            {
                SampledResult sampled = SampledResult.Of(AdapterExamination.Sampled(examiner, mode, questions, how with { Temperature = settings.Temperature }, settings.Seeds, 1, Report($"{mode}, sampled")), budget);
                measured["sampled"] = JsonSerializer.SerializeToNode(sampled, EvaluationJson.Default.SampledResult);
                Say(string.Create(CultureInfo.InvariantCulture, $"{mode + ", sampled",-24} {sampled.Accuracy * 100,5:F1}% right (spread {sampled.Spread * 100:F1}), {sampled.MeanTokens:F1} tokens on average, {sampled.WithinBudget * 100:F1}% within the budget"));
            }
        }

        string[] adapters = [.. chosen.Where(m => m is not BundleManifest.BaseMode and not BundleManifest.AutoMode)];
        if (settings.HardBudgets.Count > 0)
        {
            JsonArray hard = [];
            output["hardBudgets"] = hard;
            foreach (HardBudgetResult result in adapters.SelectMany(a => AdapterExamination.HardBudgets(examiner, new AdapterForms(a, a, a), questions, settings.HardBudgets, settings.MaxTokens, Report)))
            {
                hard.Add(new JsonObject { ["adapter"] = result.Adapter, ["budget"] = result.Budget, ["result"] = ReportJson.Mode(result.Sft) });
                Say(Line($"{result.Adapter}, cut at {result.Budget}", result.Sft));
            }
        }

        if (settings.Streams.Count > 0)
        {
            JsonArray parallel = [];
            JsonArray stopping = [];
            JsonArray verifiers = [];
            (output["parallel"], output["earlyStopping"], output["verifiers"]) = (parallel, stopping, verifiers);
            foreach (string adapter in adapters)
            {
                StreamExamination.Results votes = await StreamExamination.RunAsync(examiner, adapter, adapter, questions, settings, 1, new StageTimings(), Report, cancellationToken).ConfigureAwait(false);
                foreach (ParallelResult vote in votes.Parallel)
                {
                    parallel.Add(JsonSerializer.SerializeToNode(vote, EvaluationJson.Default.ParallelResult));
                    Say(string.Create(CultureInfo.InvariantCulture, $"{adapter + $", {vote.Streams} streams",-24} {vote.Single * 100,5:F1}% single, {vote.Majority * 100:F1}% majority{(vote.Weighted is double w ? $", {w * 100:F1}% weighted" : "")}, {vote.MeanTokens:F1} tokens on average"));
                }

                foreach (EarlyStoppingResult policy in votes.EarlyStopping)
                {
                    stopping.Add(JsonSerializer.SerializeToNode(policy, EvaluationJson.Default.EarlyStoppingResult));
                    Say(string.Create(CultureInfo.InvariantCulture, $"  {policy.Policy,-48} {policy.Accuracy * 100,5:F1}% right ({policy.Unstopped * 100:F1}% without), {policy.SavedShare * 100:F0}% of the tokens saved"));
                }

                if (votes.Verifier is VerifierResult verifier)
                {
                    verifiers.Add(JsonSerializer.SerializeToNode(verifier, EvaluationJson.Default.VerifierResult));
                    Say(string.Create(CultureInfo.InvariantCulture, $"{adapter + ", verifier",-24} AUC {verifier.Auc:F3}, {verifier.WithinAuc:F3} within a question, {verifier.Examples} answers"));
                }
            }
        }

        if (labels is not null && chosen.Contains(BundleManifest.AutoMode))
        {
            SwitcherResult switcher = await SwitcherExamination.RunAsync(examiner, questions, settings.MaxTokens, Report, cancellationToken).ConfigureAwait(false);
            output["switcher"] = JsonSerializer.SerializeToNode(switcher, EvaluationJson.Default.SwitcherResult);
            Say(string.Create(CultureInfo.InvariantCulture, $"{"switcher",-24} AUC {switcher.Auc:F3}, of the prompt's length alone {switcher.LengthAuc:F3}, {switcher.Examples} questions"));
        }

        JsonOutput.Write(target, output);
    }

    private static string Line(string title, ModeResult result) => string.Create(
        CultureInfo.InvariantCulture,
        $"{title,-24} {result.Accuracy * 100,5:F1}% right ({result.Low * 100:F1}-{result.High * 100:F1}%), {result.MeanTokens:F1} tokens on average{(result.WithinBudget is double within ? $", {within * 100:F1}% within the budget" : "")}, {result.Examples} questions");

    private static AnswerSettings Answer(BundleAnswer answer) => new()
    {
        Type = Enum.Parse<AnswerType>(answer.Type, ignoreCase: true),
        Choices = new EquatableArray<ChoiceSettings>((answer.Choices ?? []).Select(c => new ChoiceSettings { Text = c })),
    };
}
