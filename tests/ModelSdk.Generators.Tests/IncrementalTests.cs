using Microsoft.CodeAnalysis;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>Why each step ran again: an edit must cost no more than what depends on it.</summary>
public class IncrementalTests
{
    private static readonly string[] Steps =
    [
        TrackingNames.ManifestTexts, TrackingNames.ParsedManifests, TrackingNames.ParsedLocks, TrackingNames.RootNamespace,
        TrackingNames.ResolvedManifests, TrackingNames.ClientSources,
    ];

    [Fact]
    public void An_edit_of_code_runs_nothing_again()
    {
        Generate generated = Both().EditCode("class Other { int field = 1; }");

        foreach (string step in Steps)
            Assert.All(generated.Reasons(step), reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));
        Assert.All(generated.OutputReasons, reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));
    }

    [Fact]
    public void The_first_run_is_new_in_every_step()
    {
        Generate generated = Both();

        foreach (string step in Steps)
            Assert.All(generated.Reasons(step), reason => Assert.Equal(IncrementalStepRunReason.New, reason));
    }

    [Fact]
    public void A_comment_in_the_manifest_is_parsed_but_generates_nothing()
    {
        Generate generated = Both().Edit("// a comment\n" + Manifests.Tutor);

        Assert.Contains(IncrementalStepRunReason.Modified, generated.Reasons(TrackingNames.ManifestTexts));
        AssertOutputsUntouched(generated);
    }

    [Fact]
    public void A_training_setting_in_the_manifest_generates_nothing()
    {
        Generate generated = Both().Edit(Manifests.Tutor.Replace("\"data/train.jsonl\"", "\"data/train.jsonl\", \"rank\": 8", StringComparison.Ordinal));

        Assert.Contains(IncrementalStepRunReason.Modified, generated.Reasons(TrackingNames.ManifestTexts));
        AssertOutputsUntouched(generated);
    }

    [Theory]
    [InlineData("\"steps\": 40", "\"steps\": 41, \"klReference\": \"base\"")]
    [InlineData("\"budget\": { \"budgets\": [64, 128], \"steps\": 40 }, ", "")]
    [InlineData("\"verifier\": { \"steps\": 100 }", "\"verifier\": { \"lora\": true }")]
    [InlineData("\"threshold\": 0.5", "\"threshold\": 0.3, \"hidden\": 4")]
    [InlineData("\"tolerance\": 0.01", "\"tolerance\": 0.1")]
    [InlineData("\"minVerifierAuc\": 0.7", "\"minAccuracy\": 0.5")]
    [InlineData("\"context\": 1024,", "\"context\": 1024, \"grader\": { \"command\": [\"python3\", \"grade.py\"] },")]
    public void Training_and_measuring_settings_generate_nothing(string before, string after)
    {
        Assert.Contains(before, Manifests.Solver, StringComparison.Ordinal);
        Generate generated = Generate.From([new TestFile("/app/solver.model.json", Manifests.Solver), Other]).Edit(Manifests.Solver.Replace(before, after, StringComparison.Ordinal));

        Assert.Empty(generated.Diagnostics);
        Assert.Contains(IncrementalStepRunReason.Modified, generated.Reasons(TrackingNames.ManifestTexts));
        AssertOutputsUntouched(generated);
    }

    [Theory]
    [InlineData("\"streams\": 8 }", "\"streams\": 4 }", "4 streams of 128 tokens")]
    [InlineData(", \"verifier\": { \"steps\": 100 }", ", \"verifier\": { }", "new string[] { \"steps\" }")]
    [InlineData("\"sketch\": { \"train\": \"b.jsonl\" }", "\"sketch\": { \"train\": \"b.jsonl\", \"verifier\": {} }", "new string[] { \"steps\", \"sketch\" }")]
    [InlineData("\"default\": \"auto\"", "\"default\": \"steps\"", "in the default mode, <c>steps</c>")]
    public void What_the_client_shows_is_generated_anew(string before, string after, string shown)
    {
        Assert.Contains(before, Manifests.Solver, StringComparison.Ordinal);
        Generate generated = Generate.From([new TestFile("/app/solver.model.json", Manifests.Solver), Other]).Edit(Manifests.Solver.Replace(before, after, StringComparison.Ordinal));

        Assert.Contains(shown, generated.Sources["SolverModel.g.cs"], StringComparison.Ordinal);
        generated.Compiles();
    }

    [Fact]
    public void Renaming_a_budget_generates_that_client_alone()
    {
        Generate generated = Both().Edit(Manifests.Tutor.Replace("\"short\"", "\"brief\"", StringComparison.Ordinal));

        Assert.Equal(
            [IncrementalStepRunReason.Modified, IncrementalStepRunReason.Unchanged],
            generated.Reasons(TrackingNames.ClientSources).Order());
        Assert.Equal(
            [IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached],
            generated.OutputReasons.Order());
        Assert.Contains("Brief", generated.Sources["TutorModel.g.cs"], StringComparison.Ordinal);
    }

    [Fact]
    public void New_measurements_in_the_lock_generate_the_comments_of_that_client_alone()
    {
        var before = TestFile.Lock("/app/tutor.model.lock.json", Manifests.TutorLock);
        Generate generated = Generate.From([new TestFile("/app/tutor.model.json", Manifests.Tutor), Other, before]);
        generated.Replace(before, TestFile.Lock(before.Path, Manifests.TutorLock.Replace("0.972", "0.981", StringComparison.Ordinal)));

        Assert.All(generated.Reasons(TrackingNames.ParsedManifests), reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));
        Assert.Equal(
            [IncrementalStepRunReason.Modified, IncrementalStepRunReason.Cached],
            generated.OutputReasons.Order());
        Assert.Contains("98.1%", generated.Sources["TutorModel.g.cs"], StringComparison.Ordinal);
    }

    [Fact]
    public void New_digests_in_the_lock_generate_nothing()
    {
        var before = TestFile.Lock("/app/tutor.model.lock.json", Manifests.TutorLock);
        Generate generated = Generate.From([new TestFile("/app/tutor.model.json", Manifests.Tutor), before]);
        generated.Replace(before, TestFile.Lock(before.Path, Manifests.TutorLock.Replace("sha256:1", "sha256:2", StringComparison.Ordinal)));

        Assert.All(generated.OutputReasons, reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));
    }

    [Fact]
    public void Another_manifest_generates_its_own_client_alone()
    {
        Generate generated = Generate.From(Manifests.Tutor).Add(new TestFile("/app/zoo.model.json", Manifests.Minimal));

        Assert.Equal(["TutorModel.g.cs", "ZooModel.g.cs"], generated.Sources.Keys.Order());
        Assert.Equal([IncrementalStepRunReason.New, IncrementalStepRunReason.Cached], generated.OutputReasons.Order());
    }

    [Fact]
    public void Two_runs_give_the_same_text() =>
        Assert.Equal(Generate.From(Manifests.Judge).Source, Generate.From(Manifests.Judge).Source);

    private static TestFile Other => new("/app/zoo.model.json", Manifests.Minimal);

    private static Generate Both() => Generate.From([new TestFile("/app/tutor.model.json", Manifests.Tutor), Other]);

    private static void AssertOutputsUntouched(Generate generated)
    {
        Assert.All(generated.Reasons(TrackingNames.ClientSources), reason => Assert.Contains(reason, new[] { IncrementalStepRunReason.Unchanged, IncrementalStepRunReason.Cached }));
        Assert.All(generated.OutputReasons, reason => Assert.Equal(IncrementalStepRunReason.Cached, reason));
    }
}
