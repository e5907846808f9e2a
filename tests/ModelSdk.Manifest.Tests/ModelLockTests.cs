using ModelSdk.Manifest.Tests.Testing;

namespace ModelSdk.Manifest.Tests;

public class ModelLockTests
{
    private const string Digests = "\"inputs\": \"sha256:0000000000000000000000000000000000000000000000000000000000000000\", \"bundle\": \"sha256:1111111111111111111111111111111111111111111111111111111111111111\"";

    internal const string Sample = "{ \"formatVersion\": 1, " + Digests + ", \"measured\": { \"base\": { \"accuracy\": 0.5, \"meanTokens\": 3, \"examples\": 500 } } }";

    private static readonly ModelLock Lock = new()
    {
        Inputs = "sha256:" + new string('a', 64),
        Bundle = "sha256:" + new string('0', 64),
        Measured = new(
        [
            new MeasuredMode { Mode = "arithmetic", Accuracy = 0.972, MeanTokens = 104.25, Examples = 500 },
            new MeasuredMode { Mode = "b\"\\ß", Accuracy = 1.0 / 3, MeanTokens = 1e-7, Examples = 1 },
            new MeasuredMode { Mode = "base", Accuracy = 0, MeanTokens = 0, Examples = 0 },
        ]),
    };

    [Theory]
    [InlineData("tutor.model.json", "tutor.model.lock.json")]
    [InlineData("/a.b/Tutor.Model.JSON", "/a.b/Tutor.Model.lock.json")]
    [InlineData("tutor", "tutor.lock.json")]
    public void A_manifest_has_its_lock_beside_it(string manifest, string expected) => Assert.Equal(expected, ModelLock.PathFor(manifest));

    [Fact]
    public void What_is_written_is_read()
    {
        ModelLockResult result = ModelLockParser.Parse(ModelLockWriter.Write(Lock), "x.model.lock.json");

        Assert.Empty(result.Diagnostics);
        Assert.Equal(Lock, result.Lock);
    }

    [Fact]
    public void The_text_is_stable_and_has_a_line_for_each_fact() =>
        Assert.Equal(
            """
            {
              "formatVersion": 1,
              "inputs": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
              "bundle": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
              "measured": {
                "base": {
                  "accuracy": 0.5,
                  "meanTokens": 3,
                  "examples": 500
                },
                "z": {
                  "accuracy": 1,
                  "meanTokens": 2,
                  "examples": 3
                }
              }
            }

            """.ReplaceLineEndings("\n"),
            ModelLockWriter.Write(Lock with
            {
                Measured = new(
                [
                    new MeasuredMode { Mode = "z", Accuracy = 1, MeanTokens = 2, Examples = 3 },
                    new MeasuredMode { Mode = "base", Accuracy = 0.5, MeanTokens = 3, Examples = 500 },
                ]),
            }));

    [Fact]
    public void A_lock_without_measurements_is_written_and_read()
    {
        ModelLock empty = Lock with { Measured = default };

        Assert.Equal(empty, ModelLockParser.Parse(ModelLockWriter.Write(empty), "x").Lock);
    }

    [Fact]
    public void A_number_that_is_not_finite_is_not_written() =>
        Assert.Throws<ArgumentException>(() => ModelLockWriter.Write(Lock with { Measured = new([new MeasuredMode { Mode = "base", Accuracy = double.NaN }]) }));

    [Fact]
    public void Properties_of_newer_compilers_are_skipped() =>
        Assert.NotNull(ModelLockParser.Parse("{ \"formatVersion\": 1, \"new\": [], " + Digests + " }", "x").Lock);

    [Theory]
    [InlineData("MDL1001", "[|<|]<<<<<< HEAD\n{}")]
    [InlineData("MDL1030", "[|[]|]")]
    [InlineData("MDL1030", "[|{ " + Digests + " }|]")]
    [InlineData("MDL1030", "{ \"formatVersion\": [|2|], " + Digests + " }")]
    [InlineData("MDL1030", "{ \"formatVersion\": 1, " + Digests + ", \"measured\": [|1|] }")]
    [InlineData("MDL1030", "{ \"formatVersion\": 1, " + Digests + ", \"measured\": { \"base\": [|1|] } }")]
    [InlineData("MDL1030", "{ \"formatVersion\": 1, " + Digests + ", \"measured\": { \"base\": { \"accuracy\": [|2|], \"meanTokens\": 1, \"examples\": 1 } } }")]
    [InlineData("MDL1030", "{ \"formatVersion\": 1, \"inputs\": [|\"sha256:00\"|], \"bundle\": \"sha256:1111111111111111111111111111111111111111111111111111111111111111\" }")]
    [InlineData("MDL1004", "{ \"formatVersion\": 1, [|\"formatVersion\"|]: 1, " + Digests + " }")]
    public void A_damaged_lock_is_one_error_at_its_place(string code, string marked)
    {
        var text = new Marked(marked);

        ModelLockResult result = ModelLockParser.Parse(text.Text, "x.model.lock.json");

        ManifestDiagnostic diagnostic = Assert.Single(result.Diagnostics);
        Assert.Equal((code, text.Span), (diagnostic.Code, Marked.SpanOf(diagnostic)));
        Assert.Null(result.Lock);
    }
}
