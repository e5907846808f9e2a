using System.CommandLine;
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
        Option<string?> mode = new("--mode") { HelpName = "NAME", Description = "An adapter's name, or base. Default: the model's default mode." };
        Option<string?> budget = new("--budget") { HelpName = "NAME|TOKENS", Description = "A budget of the model, or a number of tokens." };
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", "Most tokens to generate in all.");
        Option<float> temperature = new("--temperature") { HelpName = "T", Description = "Sampling temperature; 0 (default) takes the likeliest token." };
        Option<int?> seed = new("--seed") { HelpName = "N", Description = "Seed of the sampling." };
        Option<string?> json = Options.Json();
        Command command = new("run", "Ask a compiled model one question.") { bundle, prompt, mode, budget, maxTokens, temperature, seed, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, async cancellationToken =>
        {
            await using ReasoningModel model = await ReasoningModel.LoadAsync(parsed.GetValue(bundle)!, null, cancellationToken).ConfigureAwait(false);
            float heat = parsed.GetValue(temperature);
            ReasoningRequest request = ReasoningRequest.FromQuestion(parsed.GetValue(prompt)!) with
            {
                Mode = parsed.GetValue(mode),
                Budget = BudgetTokens(model, parsed.GetValue(budget)),
                MaxTokens = parsed.GetValue(maxTokens),
                Sampling = heat > 0 ? new SamplingOptions { Temperature = heat, Seed = parsed.GetValue(seed) } : SamplingOptions.Greedy,
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
            }

            Usage usage = result!.Usage;
            JsonOutput.Write(target, new JsonObject
            {
                ["text"] = result.Text,
                ["reasoning"] = result.Reasoning,
                ["mode"] = result.Mode,
                ["finish"] = result.Finish.ToString(),
                ["usage"] = new JsonObject
                {
                    ["promptTokens"] = usage.PromptTokens,
                    ["reasoningTokens"] = usage.ReasoningTokens,
                    ["answerTokens"] = usage.AnswerTokens,
                    ["budget"] = usage.Budget,
                    ["forced"] = usage.Forced,
                },
            });
        }));
        return command;
    }

    private static int? BudgetTokens(ReasoningModel model, string? text)
    {
        if (text is null)
        {
            return null;
        }

        if (int.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out int tokens) && tokens > 0)
        {
            return tokens;
        }

        return model.Bundle.Budgets.FirstOrDefault(b => b.Name == text)?.Tokens
            ?? throw new CompilerException(
                Manifest.DiagnosticCodes.CommandLineInvalid,
                $"\"{text}\" is no budget of this model and no number of tokens. Its budgets: {(model.Bundle.Budgets.Count == 0 ? "none" : string.Join(", ", model.Bundle.Budgets.Select(b => b.Name)))}.");
    }
}
