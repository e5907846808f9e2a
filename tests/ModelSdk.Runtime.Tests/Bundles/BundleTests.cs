using System.Text;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Bundles;

public sealed class BundleTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _bundle;

    public BundleTests() => _bundle = TinyBundle.Random(_folder.Path, adapters: 1, change: bundle => bundle with
    {
        Measured = new Dictionary<string, BundleMeasurement> { ["base"] = new(0.25, 3.5, 3, 500), ["arithmetic"] = new(1d / 3, 40, 39.5, 500) },
    });

    private string ModelJson => Path.Combine(_bundle, BundleManifest.FileName);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_manifest_survives_writing_and_reading()
    {
        byte[] before = File.ReadAllBytes(ModelJson);
        BundleManifest read = BundleManifest.Read(_bundle);
        read.Write(_bundle);

        Assert.Equal(before, File.ReadAllBytes(ModelJson));
        Assert.StartsWith("sha256:", read.Digest, StringComparison.Ordinal);
        Assert.Equal(1d / 3, read.Measured["arithmetic"].Accuracy);
        BundleVerifier.Verify(_bundle, read, cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public void The_digest_covers_every_value_of_the_manifest()
    {
        BundleManifest manifest = BundleManifest.Read(_bundle);
        string[] digests =
        [
            manifest.Digest,
            (manifest with { Name = "Other" }).ComputeDigest(),
            (manifest with { Context = manifest.Context - 1 }).ComputeDigest(),
            (manifest with { Prompt = manifest.Prompt with { ForceAnswer = "</think>\n" } }).ComputeDigest(),
            (manifest with { Budgets = [.. manifest.Budgets, new BundleBudget("more", 65)] }).ComputeDigest(),
            (manifest with { Measured = new Dictionary<string, BundleMeasurement>() }).ComputeDigest(),
            (manifest with { Files = manifest.Files.Skip(1).ToDictionary() }).ComputeDigest(),
        ];

        Assert.Equal(digests.Length, digests.Distinct().Count());
    }

    [Fact]
    public async Task A_changed_byte_in_any_file_is_found()
    {
        foreach (string file in BundleManifest.Read(_bundle).Files.Keys)
        {
            string path = Path.Combine(_bundle, file);
            byte[] original = File.ReadAllBytes(path);
            byte[] changed = [.. original];
            changed[original.Length / 2] ^= 1;
            File.WriteAllBytes(path, changed);

            BundleException error = await LoadFails("MDL5106");

            Assert.Contains(file, error.Message, StringComparison.Ordinal);
            File.WriteAllBytes(path, original);
        }
    }

    [Theory]
    [InlineData("weights.bin")]
    [InlineData("tokenizer.json")]
    [InlineData("adapters/arithmetic/adapter.bin")]
    public async Task A_truncated_file_is_found(string file)
    {
        string path = Path.Combine(_bundle, file);
        byte[] original = File.ReadAllBytes(path);
        File.WriteAllBytes(path, original[..(original.Length / 2)]);

        Assert.Contains(file, (await LoadFails("MDL5105")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("weights.bin")]
    [InlineData("base.onnx")]
    [InlineData("tokenizer_config.json")]
    public async Task A_missing_file_is_found(string file)
    {
        File.Delete(Path.Combine(_bundle, file));

        Assert.Contains(file, (await LoadFails("MDL5104")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_without_a_manifest_is_no_bundle()
    {
        File.Delete(ModelJson);

        await LoadFails("MDL5101");
    }

    [Theory]
    [InlineData("\"formatVersion\": 2", "\"formatVersion\": 3", "MDL5103")]
    [InlineData("\"formatVersion\": 2", "\"formatVersion\": 0", "MDL5103")]
    [InlineData("\"formatVersion\": 2,", "", "MDL5102")]
    [InlineData("\"name\": \"Tiny\"", "\"name\": \"Tony\"", "MDL5106")]
    [InlineData("\"context\": 256", "\"context\": 255", "MDL5106")]
    [InlineData("\"context\": 256", "\"context\": \"256\"", "MDL5102")]
    [InlineData("\"name\": \"Tiny\",", "\"name\": \"Tiny\", \"surprise\": 1,", "MDL5102")]
    [InlineData("\"name\": \"Tiny\",", "\"name\": \"Tiny\", \"name\": \"Tiny\",", "MDL5102")]
    [InlineData("\"base.onnx\": {", "\"../base.onnx\": {", "MDL5102")]
    [InlineData("\"defaultMode\": \"arithmetic\"", "\"defaultMode\": \"poetry\"", "MDL5102")]
    public async Task A_changed_manifest_is_refused(string from, string to, string code)
    {
        string json = File.ReadAllText(ModelJson);
        Assert.Contains(from, json, StringComparison.Ordinal);
        File.WriteAllText(ModelJson, json.Replace(from, to, StringComparison.Ordinal));

        await LoadFails(code);
    }

    /// <summary>The digest is over what is written, so a property that came later must not appear in a bundle that does not state it.</summary>
    [Fact]
    public void A_bundle_from_before_solvers_were_recorded_keeps_its_digest()
    {
        BundleManifest manifest = BundleManifest.Read(_bundle);
        Assert.Null(manifest.Quantization.BitsPerWeight);
        Assert.Null(manifest.Quantization.Quality);

        string json = File.ReadAllText(ModelJson);

        Assert.DoesNotContain("bitsPerWeight", json, StringComparison.Ordinal);
        Assert.DoesNotContain("quality", json, StringComparison.Ordinal);
        Assert.Equal(manifest.Digest, manifest.ComputeDigest());
    }

    [Fact]
    public void A_manifest_cut_anywhere_gives_one_clear_error()
    {
        byte[] json = File.ReadAllBytes(ModelJson);
        for (int length = 0; length < json.Length - 2; length += 97)
            Assert.Equal("MDL5102", Assert.Throws<BundleException>(() => BundleManifest.Parse(json.AsSpan(0, length), "model.json")).Code);
    }

    [Fact]
    public void A_tensor_outside_of_the_weight_file_is_refused()
    {
        BundleManifest manifest = BundleManifest.Read(_bundle);
        BundleTensor last = manifest.Weights.Tensors[^1];
        BundleManifest wrong = manifest with { Weights = manifest.Weights with { Tensors = [.. manifest.Weights.Tensors.SkipLast(1), last with { Offset = last.Offset + 64000000 }] } };

        BundleException error = Assert.Throws<BundleException>(() => wrong.Seal(_bundle, manifest.Files.Keys));

        Assert.Equal("MDL5102", error.Code);
        Assert.Contains(last.Name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Heads_that_contradict_the_bundle_are_refused()
    {
        BundleManifest plain = BundleManifest.Read(_bundle);
        foreach (string file in (string[])["prefill.onnx", "v.onnx", "v.bin"])
            File.WriteAllText(Path.Combine(_bundle, file), "");
        BundleSwitcher switcher = new("prefill.onnx", ["base", "arithmetic"], 128, 0.5, 0.5);
        BundleAdapter adapter = plain.Adapters[0];
        string[] files = [.. plain.Files.Keys, "prefill.onnx", "v.onnx", "v.bin"];
        BundleManifest good = plain with
        {
            Switcher = switcher,
            DefaultMode = BundleManifest.AutoMode,
            Adapters = [adapter with { Verifier = new BundleVerifierHead("v.onnx", "v.bin", "Right?") }],
            Budgets = [new BundleBudget("vote", 64, 8)],
        };
        BundleManifest written = good.Seal(_bundle, files);
        written.Write(_bundle);
        Assert.Equal(written.ToJson(), BundleManifest.Read(_bundle).ToJson());

        foreach ((BundleManifest wrong, string named) in ((BundleManifest, string)[])
        [
            (plain with { DefaultMode = BundleManifest.AutoMode }, "no switcher"),
            (good with { Switcher = switcher with { Modes = ["arithmetic", "base"] } }, "arithmetic, base"),
            (good with { Switcher = switcher with { Modes = ["base"] } }, "[base]"),
            (good with { Switcher = switcher with { Chunk = 0 } }, "chunk"),
            (good with { Switcher = switcher with { Smoothing = 0 } }, "smoothing"),
            (good with { Switcher = switcher with { Smoothing = 1.01 } }, "smoothing"),
            (good with { Switcher = switcher with { Threshold = 1.5 } }, "threshold"),
            (good with { Switcher = switcher with { Graph = "elsewhere.onnx" } }, "elsewhere.onnx"),
            (good with { Adapters = [adapter with { Verifier = new BundleVerifierHead("v.onnx", "v.bin", "") }] }, "prompt"),
            (good with { Adapters = [adapter with { Verifier = new BundleVerifierHead("w.onnx", "v.bin", "?") }] }, "w.onnx"),
            (good with { Adapters = [adapter with { Verifier = new BundleVerifierHead("v.onnx", "w.bin", "?") }] }, "w.bin"),
            (good with { Adapters = [adapter with { Name = BundleManifest.AutoMode }], Switcher = switcher with { Modes = ["base", "auto"] } }, "auto"),
            (good with { Budgets = [new BundleBudget("vote", 64, 0)] }, "vote"),
        ])
        {
            BundleException error = Assert.Throws<BundleException>(() => wrong.Seal(_bundle, files));
            Assert.Equal("MDL5102", error.Code);
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Checking_once_trusts_files_that_did_not_change()
    {
        // The only test that writes notes.
        VerifiedNote.Folder = Path.Combine(_folder.Path, "notes");
        BundleManifest manifest = BundleManifest.Read(_bundle);
        BundleVerifier.Verify(_bundle, manifest, BundleCheck.OncePerFile, TestContext.Current.CancellationToken);
        string path = Path.Combine(_bundle, "weights.bin");
        DateTime time = File.GetLastWriteTimeUtc(path);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[100] ^= 1;
        File.WriteAllBytes(path, bytes);
        File.SetLastWriteTimeUtc(path, time);

        // Documented: same length and time count as the same file.
        BundleVerifier.Verify(_bundle, manifest, BundleCheck.OncePerFile, TestContext.Current.CancellationToken);
        await LoadFails("MDL5106");
        File.SetLastWriteTimeUtc(path, time.AddSeconds(1));
        Assert.Equal("MDL5106", Assert.Throws<BundleException>(() => BundleVerifier.Verify(_bundle, manifest, BundleCheck.OncePerFile, TestContext.Current.CancellationToken)).Code);
    }

    [Fact]
    public void A_client_of_another_manifest_is_told_what_differs()
    {
        BundleManifest manifest = BundleManifest.Read(_bundle);
        BundleContract contract = new("Tiny", ["arithmetic"], "arithmetic", [new("long", 64), new("short", 12)], new BundleAnswer("integer"));
        contract.Check(manifest, _bundle);

        foreach ((BundleContract wrong, string named) in new (BundleContract, string)[]
        {
            (contract with { Name = "Tutor" }, "Tutor"),
            (contract with { Adapters = ["arithmetic", "poetry"] }, "poetry"),
            (contract with { DefaultMode = "base" }, "default mode"),
            (contract with { Budgets = [new("long", 65), new("short", 12)] }, "long=65"),
            (contract with { Budgets = [new("long", 64, 8), new("short", 12)] }, "long=8x64"),
            (contract with { Switcher = true }, "no switcher"),
            (contract with { Verifiers = ["arithmetic"] }, "of [arithmetic]"),
            (contract with { Answer = new BundleAnswer("choice", ["yes", "no"]) }, "choice (yes, no)"),
        })
        {
            BundleException error = Assert.Throws<BundleException>(() => wrong.Check(manifest, _bundle));
            Assert.Equal("MDL5108", error.Code);
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_bundle_has_the_switcher_verifiers_and_streams_that_the_client_shows()
    {
        BundleManifest plain = BundleManifest.Read(_bundle);
        BundleManifest manifest = plain with
        {
            Switcher = new BundleSwitcher("prefill.onnx", ["base", "arithmetic"], 128, 0.5, 0.5),
            Adapters = [plain.Adapters[0] with { Verifier = new BundleVerifierHead("v.onnx", "v.bin", "Right?") }],
            DefaultMode = "auto",
            Budgets = [new("vote", 64, 8)],
        };
        BundleContract contract = new("Tiny", ["arithmetic"], "auto", [new("vote", 64, 8)], new BundleAnswer("integer"), Switcher: true, Verifiers: ["arithmetic"]);
        contract.Check(manifest, _bundle);

        foreach ((BundleContract wrong, string named) in new (BundleContract, string)[]
        {
            (contract with { Switcher = false }, "has a switcher"),
            (contract with { Verifiers = null }, "verifiers are of [arithmetic]"),
            (contract with { Budgets = [new("vote", 64)] }, "vote=8x64"),
            (contract with { DefaultMode = "arithmetic" }, "\"auto\""),
        })
        {
            BundleException error = Assert.Throws<BundleException>(() => wrong.Check(manifest, _bundle));
            Assert.Equal("MDL5108", error.Code);
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_graph_that_is_no_graph_is_refused()
    {
        BundleManifest manifest = BundleManifest.Read(_bundle);
        File.WriteAllBytes(Path.Combine(_bundle, "base.onnx"), Encoding.UTF8.GetBytes("not a graph"));
        manifest.Seal(_bundle, manifest.Files.Keys).Write(_bundle);

        await LoadFails("MDL5107");
    }

    private async Task<BundleException> LoadFails(string code)
    {
        BundleException error = await Assert.ThrowsAsync<BundleException>(() =>
            ReasoningModel.LoadAsync(_bundle, new ReasoningModelOptions { Threads = 1 }, TestContext.Current.CancellationToken));
        Assert.Equal(code, error.Code);
        return error;
    }
}
