using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Logging;
using ModelSdk.Manifest;
using ModelSdk.Runtime;
using ModelSdk.Runtime.Measurement;

namespace ModelSdk.Compiler.Commands;

/// <summary>
/// <c>modelc bench BUNDLE</c>: speed and memory of a compiled model on this machine; <c>modelc bench --training MANIFEST</c> (or
/// <c>--base DIR</c>): those of fine-tuning.
/// </summary>
internal static class BenchCommand
{
    private const int DefaultMaxExamples = 50;
    private const int DefaultMaxTokens = 256;

    public static Command Create()
    {
        Argument<string?> subject = new("BUNDLE|MANIFEST") { Description = "Folder of a compiled model; with --training a manifest.", Arity = ArgumentArity.ZeroOrOne };
        Option<int?> threads = Options.AtLeast("--threads", 1, "N", "Threads of one model pass. Default: the number of processors.");
        Option<string?> data = new("--data") { HelpName = "FILE", Description = "Also answer questions (JSONL with \"messages\") without and with guessed tokens, greedily." };
        Option<int?> maxExamples = Options.AtLeast("--max-examples", 1, "N", $"The first N questions of --data. Default: {DefaultMaxExamples}.");
        Option<int?> maxTokens = Options.AtLeast("--max-tokens", 1, "TOKENS", $"Most tokens of one of these answers with its reasoning. Default: {DefaultMaxTokens}.");
        Option<bool> training = new("--training") { Description = "Measure fine-tuning of the manifest's first adapter on its quantized base." };
        Option<string?> baseFolder = new("--base") { HelpName = "DIR", Description = "With --training, in place of a manifest: a base in Hugging Face layout, trained with the default settings." };
        Option<int?> rank = Options.AtLeast("--rank", 1, "N", "With --training: rank of the adapter. Default: the manifest's, or 16.");
        Option<int?> steps = Options.AtLeast("--steps", 1, "N", "With --training: measured steps; one more runs before them. Default: 2.");
        Option<int?> examples = Options.AtLeast("--examples", 1, "N", "With --training: examples a step. Default: 16.");
        Option<int?> promptTokens = Options.AtLeast("--prompt-tokens", 2, "N", "With --training: mean tokens of a prompt. Default: 128.");
        Option<int?> responseTokens = Options.AtLeast("--response-tokens", 2, "N", "With --training: mean tokens of a response. Default: 512.");
        Option<string?> json = Options.Json();
        Command command = new("bench", "Measure decode, prefill, time to first token, load time and memory; or, with --training, fine-tuning.")
        {
            subject, threads, data, maxExamples, maxTokens, training, baseFolder, rank, steps, examples, promptTokens, responseTokens, json,
        };
        command.Validators.Add(result =>
        {
            bool trains = result.GetValue(training);
            foreach (Option option in (Option[])[baseFolder, rank, steps, examples, promptTokens, responseTokens])
            {
                if (!trains && result.GetResult(option) is { Implicit: false })
                {
                    result.AddError($"{option.Name} is for --training.");
                }
            }

            foreach (Option option in (Option[])[threads, data, maxExamples, maxTokens])
            {
                if (trains && result.GetResult(option) is { Implicit: false })
                {
                    result.AddError($"{option.Name} is for a bundle, not for --training, which uses the threads that OMP_NUM_THREADS sets.");
                }
            }

            bool named = result.GetValue(subject) is not null, based = result.GetValue(baseFolder) is not null;
            if (trains && named == based)
            {
                result.AddError("--training takes either a manifest or --base DIR.");
            }
            else if (!trains && !named)
            {
                result.AddError("bench takes the folder of a compiled model.");
            }
        });
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, async cancellationToken =>
        {
            string? target = parsed.GetValue(json);
            if (parsed.GetValue(training))
            {
                CompilerLog log = Options.TextLog();
                TrainingBenchmarkSubject trained = parsed.GetValue(baseFolder) is string folder
                    ? new TrainingBenchmarkSubject(Path.GetFullPath(folder), new QuantizationSettings(), new AdapterSettings())
                    : TrainingBenchmarkSubject.Of(parsed.GetValue(subject)!, log, cancellationToken);
                if (parsed.GetValue(rank) is int wanted)
                {
                    trained = trained with { Adapter = trained.Adapter with { Rank = wanted, Alpha = trained.Adapter.Alpha * wanted / trained.Adapter.Rank } };
                }

                JsonObject result = new TrainingBenchmark(
                    trained,
                    parsed.GetValue(steps) ?? 2,
                    parsed.GetValue(examples) ?? 16,
                    parsed.GetValue(promptTokens) ?? 128,
                    parsed.GetValue(responseTokens) ?? 512).Run(log, cancellationToken);
                if (target != "-")
                {
                    Print(result);
                }

                JsonOutput.Write(target, result);
                return;
            }

            BenchmarkReport report = await BundleBenchmark.RunAsync(
                parsed.GetValue(subject)!,
                Questions(parsed.GetValue(data), parsed.GetValue(maxExamples) ?? DefaultMaxExamples, parsed.GetValue(maxTokens) ?? DefaultMaxTokens),
                parsed.GetValue(threads),
                cancellationToken).ConfigureAwait(false);
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

    private static void Print(JsonObject training)
    {
        double Number(string name) => training[name]!.GetValue<double>();
        JsonNode peak = training["peakGflops"]!;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"fine-tuning, rank {training["rank"]}, {training["type"]}: {Number("trainedTokensPerSecond"):F0} trained tokens/s ({Number("tokensPerSecond"):F0} with prompts), {Number("gflops"):F0} GFLOP/s, {Number("fractionOfPeak") * 100:F0}% of the peak of matrix products (fp32 {peak["fp32"]!.GetValue<double>():F0}, bf16 {peak["bf16"]!.GetValue<double>():F0} GFLOP/s), peak memory {Number("peakRssMb"):F0} MiB"));
    }

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

        foreach (FirstTokenMeasurement first in report.TimeToFirstToken)
        {
            string shared = first.ReasonShared is double warm && first.ReasonReencoded is double cold
                ? string.Create(culture, $", reasoning {warm:F1} ms on the base's cache, {cold:F1} ms on an empty one ({warm / cold:P1} of it)")
                : "";
            Console.WriteLine(string.Create(culture, $"first token of {first.PromptTokens} prompt tokens: base {first.Base:F1} ms{shared}"));
        }

        Console.WriteLine(string.Create(culture, $"load {report.LoadMs:F0} ms, resident {report.RssMb:F0} MiB"));
    }
}
