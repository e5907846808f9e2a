using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Runtime;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc run BUNDLE --prompt TEXT</c>: asks a compiled model one question and streams what it says.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<string> prompt = new("--prompt") { HelpName = "TEXT", Description = "The user's message.", Required = true };
        Option<string?> mode = new("--mode") { HelpName = "NAME", Description = "An adapter's name, base, or auto (the switcher chooses). Default: the model's default mode." };
        Option<double?> threshold = new("--threshold") { HelpName = "P", Description = "Least probability of needing reasoning at which mode auto reasons, 0 to 1. Default: the model's." };
        Option<string?> budget = new("--budget") { HelpName = "NAME|TOKENS", Description = "A budget of the model, or a number of tokens." };
        Option<int?> streams = Options.AtLeast("--streams", 1, "N", "Answers sampled side by side that vote. Default: the named budget's, else 1.");
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", "Most tokens to generate in all.");
        Option<float> temperature = new("--temperature") { HelpName = "T", Description = "Sampling temperature; 0 (default) takes the likeliest token." };
        Option<int?> seed = new("--seed") { HelpName = "N", Description = "Seed of the sampling." };
        Option<string?> json = Options.Json();
        Command command = new("run", "Ask a compiled model one question.") { bundle, prompt, mode, threshold, budget, streams, maxTokens, temperature, seed, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, async cancellationToken =>
        {
            await using ReasoningModel model = await ReasoningModel.LoadAsync(parsed.GetValue(bundle)!, null, cancellationToken).ConfigureAwait(false);
            float heat = parsed.GetValue(temperature);
            ReasoningBudget? limit = Budget(model, parsed.GetValue(budget));
            ReasoningRequest request = ReasoningRequest.FromQuestion(parsed.GetValue(prompt)!) with
            {
                Mode = parsed.GetValue(mode),
                SwitcherThreshold = parsed.GetValue(threshold),
                Budget = limit?.Tokens,
                Streams = parsed.GetValue(streams) ?? limit?.Streams ?? 1,
                MaxTokens = parsed.GetValue(maxTokens),
                Sampling = new SamplingOptions { Temperature = heat, Seed = parsed.GetValue(seed) },
            };
            string? target = parsed.GetValue(json);
            bool talk = target != "-";
            ReasoningResult? result = null;
            UpdateKind? last = null;
            await foreach (ReasoningUpdate update in model.StreamAsync(request, cancellationToken).ConfigureAwait(false))
            {
                result = update.Completed ?? result;
                if (!talk || update.Text.Length == 0)
                {
                    continue;
                }

                if (last is not null && last != update.Kind)
                {
                    Console.WriteLine();
                }

                last = update.Kind;
                Console.Write(update.Text);
            }

            if (talk)
            {
                Console.WriteLine();
                Explain(result!);
            }

            Usage usage = result!.Usage;
            JsonOutput.Write(target, new JsonObject
            {
                ["text"] = result.Text,
                ["reasoning"] = result.Reasoning,
                ["mode"] = result.Mode,
                ["finish"] = result.Finish.ToString(),
                ["confidence"] = result.Confidence,
                ["votes"] = new JsonArray([.. result.Votes.Select(v => new JsonObject
                {
                    ["text"] = v.Text,
                    ["streams"] = v.Streams,
                    ["weight"] = v.Weight,
                    ["confidence"] = v.Confidence,
                })]),
                ["routing"] = result.Routing is not Routing routing ? null : new JsonObject
                {
                    ["score"] = routing.Score,
                    ["threshold"] = routing.Threshold,
                    ["mode"] = routing.Mode,
                },
                ["usage"] = new JsonObject
                {
                    ["promptTokens"] = usage.PromptTokens,
                    ["reasoningTokens"] = usage.ReasoningTokens,
                    ["answerTokens"] = usage.AnswerTokens,
                    ["probeTokens"] = usage.ProbeTokens,
                    ["passes"] = usage.Passes,
                    ["draftedTokens"] = usage.DraftedTokens,
                    ["acceptedTokens"] = usage.AcceptedTokens,
                    ["streams"] = usage.Streams,
                    ["budget"] = usage.Budget,
                    ["forced"] = usage.Forced,
                },
            });
        }));
        return command;
    }

    /// <summary>Says under the answer how it came about, where a switcher or a vote had a part in it.</summary>
    private static void Explain(ReasoningResult result)
    {
        if (result.Routing is Routing routing)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[auto: needs reasoning {routing.Score:F2}, threshold {routing.Threshold:F2}: {routing.Mode}]"));
        }

        if (result.Confidence is double confidence)
        {
            string votes = result.Votes.Count == 0 ? "no readable answer" : string.Join(", ", result.Votes.Select(v => $"{v.Text} ({v.Streams})"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[confidence {confidence:F2}; {result.Usage.Streams} streams, {result.Usage.GeneratedTokens} tokens: {votes}]"));
        }
    }

    private static ReasoningBudget? Budget(ReasoningModel model, string? text)
    {
        if (text is null)
        {
            return null;
        }

        if (int.TryParse(text, CultureInfo.InvariantCulture, out int tokens) && tokens > 0)
        {
            return new ReasoningBudget("", tokens);
        }

        return model.Bundle.Budgets.FirstOrDefault(b => b.Name == text) is { } named
            ? new ReasoningBudget(named.Name, named.Tokens, named.Streams)
            : throw new CompilerException(
                Manifest.DiagnosticCodes.CommandLineInvalid,
                $"\"{text}\" is no budget of this model and no number of tokens. Its budgets: {(model.Bundle.Budgets.Count == 0 ? "none" : string.Join(", ", model.Bundle.Budgets.Select(b => b.Name)))}.");
    }
}
