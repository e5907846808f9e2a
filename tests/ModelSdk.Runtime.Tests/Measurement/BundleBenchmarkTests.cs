using System.Text.Json;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Measurement;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Measurement;

public class BundleBenchmarkTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    [Fact]
    public async Task A_report_holds_every_measurement_under_its_name()
    {
        BenchmarkReport report = await BundleBenchmark.RunAsync(bundle.Folder, threads: 1, TestContext.Current.CancellationToken);
        using JsonDocument json = JsonDocument.Parse(report.ToJson());
        JsonElement root = json.RootElement;

        Assert.True(root.GetProperty("readBandwidthGBs").GetDouble() > 0.1);
        Assert.True(root.GetProperty("loadMs").GetDouble() > 0);
        Assert.True(root.GetProperty("rssMb").GetDouble() > 1);
        Assert.Equal(
            ["base 1", "arithmetic 1", "arithmetic2 1", "arithmetic 2", "arithmetic 4", "arithmetic 8"],
            root.GetProperty("decode").EnumerateArray().Select(d => $"{d.GetProperty("mode").GetString()} {d.GetProperty("streams").GetInt32()}"));
        foreach (JsonElement decode in root.GetProperty("decode").EnumerateArray())
        {
            double step = decode.GetProperty("msPerStep").GetDouble();
            Assert.True(step > 0);
            Assert.Equal(decode.GetProperty("streams").GetInt32() * 1000 / step, decode.GetProperty("tokensPerSecond").GetDouble(), 1e-6);
            double floor = root.GetProperty("weightBytesPerToken").GetInt64() / (root.GetProperty("readBandwidthGBs").GetDouble() * 1e6);
            Assert.Equal(floor / step, decode.GetProperty("rooflineFraction").GetDouble(), 1e-6);
            Assert.True(decode.GetProperty("contextTokens").GetInt32() > 0);
        }

        Assert.Equal(128, root.GetProperty("prefill")[0].GetProperty("tokens").GetInt32());
        Assert.Equal(JsonValueKind.Null, root.GetProperty("prefill")[0].GetProperty("switcherCost").ValueKind);
        Assert.Equal(JsonValueKind.Null, root.GetProperty("speculation").ValueKind);
        Assert.Equal([2, 4, 8, 16], root.GetProperty("drafts").EnumerateArray().Select(d => d.GetProperty("tokens").GetInt32()));
        Assert.All(root.GetProperty("drafts").EnumerateArray(), d => Assert.True(d.GetProperty("msPerPass").GetDouble() > 0 && d.GetProperty("mode").GetString() == "arithmetic"));
        JsonElement first = root.GetProperty("timeToFirstToken")[0];
        foreach (string name in (string[])["base", "reasonShared", "reasonReencoded"])
            Assert.True(first.GetProperty(name).GetDouble() > 0);
    }

    [Fact]
    public async Task The_switchers_cost_in_prefill_is_measured()
    {
        using TemporaryFolder folder = new();
        string path = TinyBundle.Random(folder.Path, change: b => b with { DefaultMode = BundleManifest.AutoMode }, heads: new TinyHeads(TinyHeads.Random(3)));

        BenchmarkReport report = await BundleBenchmark.RunAsync(path, threads: 1, TestContext.Current.CancellationToken);

        Assert.All(report.Prefill, prefill => Assert.InRange(prefill.SwitcherCost!.Value, -1, 10));
        Assert.NotNull(report.TimeToFirstToken[0].ReasonShared);
    }

    [Fact]
    public async Task Questions_are_answered_without_and_with_guessed_tokens()
    {
        ReasoningRequest[] questions = [RandomBundle.Ask("one", tokens: 100), RandomBundle.Ask("another", TinyBundle.Adapter, tokens: 60)];

        BenchmarkReport report = await BundleBenchmark.RunAsync(bundle.Folder, questions, threads: 1, TestContext.Current.CancellationToken);

        SpeculationMeasurement measured = report.Speculation!;
        Assert.Equal((2, 160, 2), (measured.Questions, measured.GeneratedTokens, measured.SameTexts));
        // The last token of each text is not run.
        Assert.Equal(158, measured.PlainPasses);
        // A question's last guesses may reach beyond its last token.
        Assert.InRange(158 - measured.AcceptedTokens - measured.Passes, -2, 0);
        Assert.InRange(measured.AcceptedTokens, 1, measured.DraftedTokens);
        Assert.True(measured.PlainMsPerToken > 0 && measured.MsPerToken > 0);
    }

    [Fact]
    public void Weights_read_per_token_count_tied_bytes_once_and_leave_out_tables()
    {
        BundleManifest manifest = bundle.Model.Bundle;
        long tables = manifest.Weights.Tensors.Where(t => t.Name.StartsWith("rotary.", StringComparison.Ordinal)).Sum(t => t.Bytes);
        long distinct = manifest.Weights.Tensors.DistinctBy(t => t.Offset).Sum(t => t.Bytes);

        Assert.True(tables > 0);
        Assert.Equal(distinct - tables, BundleBenchmark.WeightBytesPerToken(manifest));
    }
}
