using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

public sealed class ManifestFilesTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("manifest-files-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_manifest_whose_files_are_there_is_clean()
    {
        Write("base/config.json", """{ "max_position_embeddings": 512 }""");
        Write("data/train.jsonl", "{}");
        Write("data/test.jsonl", "{}");

        Assert.Empty(Validate("""{ "base": "base", "context": 512, "adapters": { "a": { "train": "data/train.jsonl" } }, "evaluation": { "data": "data/test.jsonl" } }"""));
    }

    [Theory]
    [InlineData("MDL1020", """{ "base": [|"nowhere"|] }""")]
    [InlineData("MDL1020", """{ "base": [|"file.txt"|] }""")]
    [InlineData("MDL1020", """{ "base": [|"empty"|] }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": [|"nowhere.jsonl"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": [|"empty"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "evaluation": { "data": [|"no/where.jsonl"|], "maxTokens": 50 } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": [|"dangling.jsonl"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "import": [|"nowhere"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "import": [|"empty"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "import": [|"file.txt"|] } } }""")]
    [InlineData("MDL1021", """{ "base": "base", "adapters": { "a": { "train": [|"loop1.jsonl"|] } } }""")]
    [InlineData("MDL1021", """{ "base": [|"loopfolder"|] }""")]
    [InlineData("MDL1021", """{ "base": "base", "adapters": { "a": { "train": [|"tutor.model.json"|] } } }""")]
    [InlineData("MDL1021", """{ "base": "base", "adapters": { "a": { "train": [|"data/../tutor.model.lock.json"|] } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": "file.txt", "budget": { "data": [|"nowhere.jsonl"|], "budgets": [64], "maxTokens": 256 } } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": "file.txt", "verifier": { "data": [|"empty"|] } } } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": "file.txt" } }, "switcher": { "train": [|"nowhere.jsonl"|] } }""")]
    [InlineData("MDL1020", """{ "base": "base", "evaluation": { "data": "file.txt", "streams": [2], "streamData": [|"nowhere.jsonl"|] } }""")]
    [InlineData("MDL1020", """{ "base": "base", "adapters": { "a": { "train": "file2.txt" } }, "switcher": { "train": "file2.txt" }, "evaluation": { "data": "file.txt", "switcherData": [|"dangling.jsonl"|] } }""")]
    [InlineData("MDL1021", """{ "base": "base", "adapters": { "a": { "train": "file.txt" } }, "switcher": { "train": [|"loop1.jsonl"|] } }""")]
    [InlineData("MDL1021", """{ "base": "base", "adapters": { "a": { "train": "file.txt", "budget": { "data": [|"./tutor.model.json"|], "budgets": [64], "maxTokens": 256 } } } }""")]
    [InlineData("MDL1013", """{ "base": "base", "adapters": { "a": { "train": "file.txt", "budget": { "budgets": [64], "maxTokens": [|481|] } } } }""")]
    [InlineData("MDL1013", """{ "base": "base", "evaluation": { "data": "file.txt", "budget": [|481|] } }""")]
    [InlineData("MDL1013", """{ "base": "base", "evaluation": { "data": "file.txt", "hardBudgets": [|[32, 481]|] } }""")]
    [InlineData("MDL1018", """{ "base": [|{ "hub": "a/b", "revision": "0000000000000000000000000000000000000000" }|] }""")]
    [InlineData("MDL1023", """{ "base": "base", "context": [|1024|] }""")]
    [InlineData("MDL1013", """{ "base": "base", "budgets": { "a": 400, "b": [|481|] } }""")]
    public void A_problem_with_a_file_is_reported_once_at_the_property(string code, string marked)
    {
        Write("base/config.json", """{ "max_position_embeddings": 512 }""");
        Write("file.txt", "");
        Write("file2.txt", "");
        Directory.CreateDirectory(Path.Combine(folder, "empty"));
        File.CreateSymbolicLink(Path.Combine(folder, "dangling.jsonl"), "gone.jsonl");
        File.CreateSymbolicLink(Path.Combine(folder, "loop1.jsonl"), "loop2.jsonl");
        File.CreateSymbolicLink(Path.Combine(folder, "loop2.jsonl"), "loop1.jsonl");
        Directory.CreateSymbolicLink(Path.Combine(folder, "loopfolder"), "loopfolder");
        var text = new Marked(marked);

        ManifestDiagnostic diagnostic = Assert.Single(Validate(text.Text));

        Assert.Equal((code, text.Span), (diagnostic.Code, Marked.SpanOf(diagnostic)));
        Assert.Equal(ManifestSeverity.Error, diagnostic.Severity);
    }

    [Fact]
    public void Evaluating_on_training_data_is_a_warning()
    {
        Write("base/config.json", "{}");
        Write("train.jsonl", "{}");
        var text = new Marked("""{ "base": "base", "adapters": { "a": { "train": "train.jsonl" } }, "evaluation": { "data": [|"./train.jsonl"|] } }""");

        ManifestDiagnostic diagnostic = Assert.Single(Validate(text.Text));

        Assert.Equal(("MDL1024", text.Span, ManifestSeverity.Warning), (diagnostic.Code, Marked.SpanOf(diagnostic), diagnostic.Severity));
    }

    [Theory]
    [InlineData("the adapter 'a'", """{ "base": "base", "adapters": { "a": { "train": "train.jsonl" } }, "evaluation": { "data": "test.jsonl", "streams": [2], "streamData": [|"data/../train.jsonl"|] } }""")]
    [InlineData("the budget forcing of 'a'", """{ "base": "base", "adapters": { "a": { "train": "train.jsonl", "budget": { "data": "rl.jsonl", "budgets": [64] } } }, "evaluation": { "data": [|"rl.jsonl"|] } }""")]
    [InlineData("the verifier of 'a'", """{ "base": "base", "adapters": { "a": { "train": "train.jsonl", "verifier": { "data": "rl.jsonl" } } }, "evaluation": { "data": [|"rl.jsonl"|] } }""")]
    [InlineData("the switcher", """{ "base": "base", "adapters": { "a": { "train": "train.jsonl" } }, "switcher": { "train": "rl.jsonl" }, "evaluation": { "data": "test.jsonl", "switcherData": [|"rl.jsonl"|] } }""")]
    public void Any_training_data_in_any_measurement_is_a_warning(string trained, string marked)
    {
        Write("base/config.json", "{}");
        foreach (string file in new[] { "train.jsonl", "rl.jsonl", "test.jsonl" }) Write(file, "{}");
        var text = new Marked(marked);

        ManifestDiagnostic diagnostic = Assert.Single(Validate(text.Text));

        Assert.Equal(("MDL1024", text.Span, ManifestSeverity.Warning), (diagnostic.Code, Marked.SpanOf(diagnostic), diagnostic.Severity));
        Assert.Contains(trained, diagnostic.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_config_that_says_nothing_is_left_to_the_reader_of_base_models()
    {
        Write("base/config.json", "not json");

        Assert.Empty(Validate("""{ "base": "base", "context": 4096 }"""));
    }

    [Fact]
    public void Links_to_real_files_are_followed()
    {
        Write("real/config.json", """{ "max_position_embeddings": 512 }""");
        Directory.CreateSymbolicLink(Path.Combine(folder, "base"), "real");

        Assert.Empty(Validate(Samples.Minimal));
    }

    [Fact]
    public void Backslashes_bring_advice()
    {
        Write("base/config.json", "{}");

        if (OperatingSystem.IsWindows()) return;
        Assert.Contains("'/'", Assert.Single(Validate("""{ "base": "base", "adapters": { "a": { "train": "data\\train.jsonl" } } }""")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Paths_are_relative_to_the_manifest() =>
        Assert.Equal(Path.Combine(folder, "data", "x.jsonl"), ManifestFiles.Resolve(Path.Combine(folder, "sub", "m.model.json"), "../data/x.jsonl"));

    private IReadOnlyList<ManifestDiagnostic> Validate(string text)
    {
        ManifestResult result = ManifestParser.Parse(text, Path.Combine(folder, "tutor.model.json"));
        Assert.Empty(result.Diagnostics);
        return ManifestFiles.Validate(result);
    }

    private void Write(string path, string text)
    {
        string file = Path.Combine(folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
