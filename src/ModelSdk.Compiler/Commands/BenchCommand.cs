using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Measurement;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc bench BUNDLE</c>: speed and memory of a compiled model on this machine.</summary>
internal static class BenchCommand
{
    private const int DefaultMaxExamples = 50;
    private const int DefaultMaxTokens = 256;

    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<int?> threads = Options.AtLeast("--threads", 1, "N", "Threads of one model pass. Default: the number of processors.");
        Option<string?> data = new("--data") { HelpName = "FILE", Description = "Also answer questions (JSONL with \"messages\") without and with guessed tokens, greedily." };
        Option<int?> maxExamples = Options.AtLeast("--max-examples", 1, "N", $"The first N questions of --data. Default: {DefaultMaxExamples}.");
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", $"Most tokens of one of these answers with its reasoning. Default: {DefaultMaxTokens}.");
        Option<string?> json = Options.Json();
        Command command = new("bench", "Measure decode, prefill, time to first token, load time and memory.") { bundle, threads, data, maxExamples, maxTokens, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, async cancellationToken =>
        {
            BenchmarkReport report = await BundleBenchmark.RunAsync(
                parsed.GetValue(bundle)!,
                Questions(parsed.GetValue(data), parsed.GetValue(maxExamples) ?? DefaultMaxExamples, parsed.GetValue(maxTokens) ?? DefaultMaxTokens),
                parsed.GetValue(threads),
                cancellationToken).ConfigureAwait(false);
            string? target = parsed.GetValue(json);
            if (target != "-")
            {
                Print(report);
            }

            JsonOutput.Write(target, JsonNode.Parse(report.ToJson())!);
        }));
        return command;
    }

    /// <summary>Questions without a last message of the assistant: it is what the model shall say.</summary>
    private static ReasoningRequest[] Questions(string? data, int most, int maxTokens) => data is null
        ? []
        :
        [
            .. DataFile.Read(Path.GetFullPath(data), data).Take(most).Select(example => new ReasoningRequest
            {
                Turns = example.Turns[^1].Role == "assistant" ? [.. example.Turns.SkipLast(1)] : example.Turns,
                MaxTokens = maxTokens,
            }),
        ];

    private static void Print(BenchmarkReport report)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        Console.WriteLine(string.Create(culture, $"{report.Machine}, {report.Threads} threads, read bandwidth {report.ReadBandwidthGBs:F1} GB/s, {report.WeightBytesPerToken / 1e6:F2} MB of weights a token, {report.CacheBytesPerToken} bytes of keys and values ({report.KeyValueCache}) for each token held"));
        foreach (DecodeMeasurement decode in report.Decode)
        {
            Console.WriteLine(string.Create(culture, $"decode {decode.Mode,-16} {decode.TokensPerSecond,8:F0} tokens/s  {decode.MsPerStep:F3} ms a step, {decode.Streams} stream{(decode.Streams == 1 ? "" : "s")}, {decode.ContextTokens} tokens before, {decode.RooflineFraction * 100:F0}% of the memory limit"));
        }

        foreach (PrefillMeasurement prefill in report.Prefill)
        {
            string switcher = prefill.SwitcherCost is double cost ? string.Create(culture, $"  switcher {cost * 100:+0.0;-0.0}%") : "";
            Console.WriteLine(string.Create(culture, $"prefill {prefill.Tokens,-15} {prefill.TokensPerSecond,8:F0} tokens/s{switcher}"));
        }

        foreach (DraftMeasurement draft in report.Drafts)
        {
            Console.WriteLine(string.Create(culture, $"pass {draft.Mode,-18} {draft.Tokens,2} tokens {draft.MsPerPass:F3} ms"));
        }

        if (report.Speculation is SpeculationMeasurement s)
        {
            Console.WriteLine(string.Create(culture, $"guessed tokens: {s.PlainPasses} passes without, {s.Passes} with ({(double)s.PlainPasses / Math.Max(s.Passes, 1):F2} times fewer), {s.AcceptedTokens} of {s.DraftedTokens} guesses right; {s.PlainMsPerToken:F3} ms a token without, {s.MsPerToken:F3} with; {s.SameTexts} of {s.Questions} texts the same"));
        }

        FirstTokenMeasurement first = report.TimeToFirstToken;
        string shared = first.ReasonShared is double warm && first.ReasonReencoded is double cold
            ? string.Create(culture, $", reasoning {warm:F1} ms on the base's cache, {cold:F1} ms on an empty one")
            : "";
        Console.WriteLine(string.Create(culture, $"first token of {first.PromptTokens} prompt tokens: base {first.Base:F1} ms{shared}"));
        Console.WriteLine(string.Create(culture, $"load {report.LoadMs:F0} ms, resident {report.RssMb:F0} MiB"));
    }
}
