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
