using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Reports;
using ModelSdk.Compiler.Stages;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc eval BUNDLE --data FILE</c>: measures a compiled model on questions of one's own.</summary>
internal static class EvalCommand
{
    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<string> data = new("--data") { HelpName = "FILE", Description = "Questions: JSONL with \"messages\" and \"answer\".", Required = true };
        Option<string[]> modes = new("--mode") { HelpName = "NAME", Description = "A mode to measure; may be given several times. Default: all." };
        Option<int?> maxExamples = Options.AtLeast("--max-examples", 1, "N", "The first N questions. Default: all.");
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", "Most tokens of one answer with its reasoning. Default: 256.");
        Option<string?> json = Options.Json();
        Command command = new("eval", "Measure a compiled model on questions with known answers.") { bundle, data, modes, maxExamples, maxTokens, json };
        command.SetAction(parsed =>
        {
            CompilerLog log = Options.TextLog();
            return CommandLine.GuardAsync(log, exitWithStandardInput: false, async cancellationToken =>
            {
                ReasoningModelOptions options = new() { Threads = 1, MaxConcurrentCalls = Environment.ProcessorCount };
                await using ReasoningModel model = await ReasoningModel.LoadAsync(parsed.GetValue(bundle)!, options, cancellationToken).ConfigureAwait(false);
                AnswerSettings answer = Answer(model.Bundle.Answer);
                string path = Path.GetFullPath(parsed.GetValue(data)!);
                IReadOnlyList<Question> questions = Question.Read(path, path, answer, parsed.GetValue(maxExamples));
                int limit = parsed.GetValue(maxTokens) ?? 256;
                JsonObject results = [];
                string? target = parsed.GetValue(json);
                foreach (string mode in parsed.GetValue(modes) is { Length: > 0 } chosen ? chosen : model.Bundle.Modes)
                {
                    ModeResult result = ModeResult.Of(await EvaluateStage.AskDeployedAsync(model, mode, questions, limit, answer, (text, share) => log.Progress(mode, null, text, share), cancellationToken).ConfigureAwait(false));
                    results[mode] = ReportJson.Mode(result);
                    if (target != "-")
                    {
                        Console.WriteLine(string.Create(
                            CultureInfo.InvariantCulture,
                            $"{mode,-24} {result.Accuracy * 100,5:F1}% right ({result.Low * 100:F1}-{result.High * 100:F1}%), {result.MeanTokens:F1} tokens on average, {result.Examples} questions"));
                    }
                }

                JsonOutput.Write(target, new JsonObject { ["digest"] = model.Bundle.Digest, ["data"] = path, ["maxTokens"] = limit, ["evaluation"] = results });
            });
        });
        return command;
    }

    private static AnswerSettings Answer(BundleAnswer answer) => new()
    {
        Type = Enum.Parse<AnswerType>(answer.Type, ignoreCase: true),
        Choices = new EquatableArray<ChoiceSettings>((answer.Choices ?? []).Select(c => new ChoiceSettings { Text = c })),
    };
}
