using System.Text.Json.Nodes;

namespace ModelSdk.Compiler.Tests.Commands;

public class TrainingBenchmarkTests
{
    [Fact]
    public async Task Training_is_measured_against_the_peak_of_the_same_run()
    {
        using TinyWorld world = new();
        (int exitCode, string text, string errors) = await CommandLineTests.RunAsync(
            "bench", "--training", world.ManifestPath, "--steps", "2", "--examples", "4", "--prompt-tokens", "20", "--response-tokens", "20", "--json", "-");
        Assert.True(exitCode == 0, errors);
        JsonNode result = JsonNode.Parse(text)!;
        Assert.Equal(4, result["rank"]!.GetValue<int>()); // the manifest's
        JsonArray steps = result["steps"]!.AsArray();
        Assert.Equal(2, steps.Count);
        Assert.All(steps, s => Assert.True(s!["gflop"]!.GetValue<double>() > 0 && s["promptTokens"]!.GetValue<int>() is > 40 and < 120));
        double seconds = steps.Sum(s => s!["seconds"]!.GetValue<double>());
        Assert.Equal(steps.Sum(s => s!["gflop"]!.GetValue<double>()) / seconds, result["gflops"]!.GetValue<double>(), 0.002);
        double peak = result["peakGflops"]![result["type"]!.GetValue<string>()]!.GetValue<double>();
        Assert.Equal(result["gflops"]!.GetValue<double>() / peak, result["fractionOfPeak"]!.GetValue<double>(), 0.001);
    }

    [Fact]
    public async Task What_cannot_be_measured_is_refused()
    {
        using TinyWorld world = new();
        (int exitCode, _, string errors) = await CommandLineTests.RunAsync("bench", "--training", "--base", world["project", "base"], "--response-tokens", "100000");
        Assert.Equal(1, exitCode);
        Assert.Contains("MDL2040", errors, StringComparison.Ordinal);
        Assert.Contains("--response-tokens", errors, StringComparison.Ordinal);

        (exitCode, _, errors) = await CommandLineTests.RunAsync("bench", world["project"], "--rank", "4");
        Assert.Equal(2, exitCode);
        Assert.Contains("--rank is for --training", errors, StringComparison.Ordinal);
        (exitCode, _, errors) = await CommandLineTests.RunAsync("bench", "--training", world.ManifestPath, "--base", world["project", "base"]);
        Assert.Equal(2, exitCode);
        Assert.Contains("either a manifest or --base", errors, StringComparison.Ordinal);
    }
}
