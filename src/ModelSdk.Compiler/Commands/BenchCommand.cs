using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Runtime.Measurement;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc bench BUNDLE</c>: speed and memory of a compiled model on this machine.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        Argument<string> bundle = Options.Bundle();
        Option<int?> threads = Options.AtLeast("--threads", 1, "N", "Threads of one model pass. Default: the number of processors.");
        Option<string?> json = Options.Json();
        Command command = new("bench", "Measure decode, prefill, time to first token, load time and memory.") { bundle, threads, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, async cancellationToken =>
        {
            BenchmarkReport report = await BundleBenchmark.RunAsync(parsed.GetValue(bundle)!, parsed.GetValue(threads), cancellationToken).ConfigureAwait(false);
            string? target = parsed.GetValue(json);
            if (target != "-")
            {
                Print(report);
            }

            JsonOutput.Write(target, JsonNode.Parse(report.ToJson())!);
        }));
        return command;
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

        FirstTokenMeasurement first = report.TimeToFirstToken;
        string shared = first.ReasonShared is double s && first.ReasonReencoded is double r
            ? string.Create(culture, $", reasoning {s:F1} ms on the base's cache, {r:F1} ms on an empty one")
            : "";
        Console.WriteLine(string.Create(culture, $"first token of {first.PromptTokens} prompt tokens: base {first.Base:F1} ms{shared}"));
        Console.WriteLine(string.Create(culture, $"load {report.LoadMs:F0} ms, resident {report.RssMb:F0} MiB"));
    }
}
