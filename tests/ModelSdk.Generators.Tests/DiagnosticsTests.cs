using Microsoft.CodeAnalysis;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>Findings stand at their place in the JSON file, one for each mistake.</summary>
public class DiagnosticsTests
{
    [Fact]
    public void A_misspelt_property_is_reported_at_its_name() =>
        Generate.From("{\n  \"base\": \"base\",\n  \"budgts\": {}\n}").Reports("MDL1005", "/app/tutor.model.json: (2,2)-(2,10)");

    [Fact]
    public void A_budget_that_cannot_fit_the_context_is_reported_at_its_value() =>
        Generate.From("""{ "base": "base", "context": 512, "budgets": { "huge": 4000 } }""").Reports("MDL1013", "/app/tutor.model.json: (0,55)-(0,59)");

    [Fact]
    public void A_default_that_needs_a_switcher_is_reported_at_its_value() =>
        Generate.From("""{ "base": "base", "default": "auto" }""").Reports("MDL1019", "/app/tutor.model.json: (0,29)-(0,35)");

    [Fact]
    public void Every_code_that_parsing_reports_has_a_descriptor()
    {
        string[] fromFiles = ["MDL1018", "MDL1020", "MDL1021", "MDL1023", "MDL1024"];
        IEnumerable<string> manifestCodes = ModelSdk.Manifest.DiagnosticCodes.All.Select(i => i.Code).Where(c => c.StartsWith("MDL1", StringComparison.Ordinal));

        Assert.Equal([.. manifestCodes.Except(fromFiles), "MDL6101"], Descriptors.All.Select(d => d.Id).Order());
    }

    [Fact]
    public void A_manifest_with_an_error_generates_no_client() =>
        Assert.Empty(Generate.From("""{ "base": "base", "seed": "x" }""").Sources);

    [Fact]
    public void A_diagnostic_is_an_error_with_title_category_and_help()
    {
        Diagnostic diagnostic = Assert.Single(Generate.From("{}").Diagnostics);

        Assert.Equal(DiagnosticSeverity.Error, diagnostic.Severity);
        Assert.Equal("ModelSdk", diagnostic.Descriptor.Category);
        Assert.Equal("docs/diagnostics.md#mdl1007", diagnostic.Descriptor.HelpLinkUri);
        Assert.NotEmpty(diagnostic.Descriptor.Title.ToString());
        Assert.Contains("'base'", diagnostic.GetMessage(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_with_braces_is_shown_as_it_is() =>
        Assert.Contains("{budget}", Assert.Single(Generate.From("""{ "base": "b", "prompt": { "budget": "short" } }""").Diagnostics).GetMessage(), StringComparison.Ordinal);

    [Fact]
    public void A_file_that_cannot_be_read_is_reported_once() =>
        Generate.From([new TestFile("/app/tutor.model.json", null)]).Reports("MDL1022", "/app/tutor.model.json: (0,0)-(0,0)");

    [Fact]
    public void Files_of_another_kind_are_left_alone()
    {
        Generate generated = Generate.From([new TestFile("/app/tutor.model.json", "{}", kind: "")]);

        Assert.Empty(generated.Diagnostics);
        Assert.Empty(generated.Sources);
    }

    [Fact]
    public void Two_manifests_of_one_client_are_reported_at_the_second_and_the_first_is_generated()
    {
        Generate generated = Generate.From(
        [
            new TestFile("/app/b/tutor.model.json", Manifests.Minimal),
            new TestFile("/app/c/x.model.json", "{ \"base\": \"base\",\n  \"name\": \"tutor-model\" }"),
            new TestFile("/app/a/tutor.model.json", Manifests.Tutor),
        ]);

        Assert.Equal(["TutorModel.g.cs"], generated.Sources.Keys);
        Assert.Contains("Arithmetic", generated.Source, StringComparison.Ordinal);
        Assert.Equal(
            ["/app/b/tutor.model.json: (0,0)-(0,18)", "/app/c/x.model.json: (1,10)-(1,23)"],
            generated.Diagnostics.Select(d => d.Location.GetLineSpan().ToString()).Order());
        Assert.All(generated.Diagnostics, d => Assert.Equal("MDL6101", d.Id));
        Assert.All(generated.Diagnostics, d => Assert.Contains("/app/a/tutor.model.json", d.GetMessage(), StringComparison.Ordinal));
    }

    [Fact]
    public void Names_that_differ_in_case_alone_share_a_bundle_folder_and_are_reported() =>
        Generate.From(
        [
            new TestFile("/app/a.model.json", """{ "base": "b", "name": "Tutor" }"""),
            new TestFile("/app/b.model.json", """{ "base": "b", "name": "TUTOR" }"""),
        ]).Reports("MDL6101", "/app/b.model.json: (0,23)-(0,30)");

    [Fact]
    public void A_damaged_lock_is_a_warning_and_the_client_comes_without_measurements()
    {
        Generate generated = Generate.From([new TestFile("/app/tutor.model.json", Manifests.Tutor), TestFile.Lock("/app/tutor.model.lock.json", "{ <<<<<<< HEAD")]);

        Diagnostic diagnostic = Assert.Single(generated.Diagnostics);
        Assert.Equal(DiagnosticSeverity.Warning, diagnostic.Severity);
        Assert.Equal("/app/tutor.model.lock.json: (0,2)-(0,3)", diagnostic.Location.GetLineSpan().ToString());
        Assert.DoesNotContain("Measured", generated.Source, StringComparison.Ordinal);
    }

    [Fact]
    public void The_lock_of_another_manifest_is_not_taken() =>
        Assert.DoesNotContain(
            "Measured",
            Generate.From([new TestFile("/app/a/tutor.model.json", Manifests.Tutor), TestFile.Lock("/app/b/tutor.model.lock.json", Manifests.TutorLock)]).Source,
            StringComparison.Ordinal);

    [Fact]
    public void Several_manifests_of_one_project_compile_together()
    {
        Generate generated = Generate.From(
        [
            new TestFile("/app/tutor.model.json", Manifests.Tutor),
            new TestFile("/app/judge.model.json", Manifests.Judge),
            new TestFile("/app/smalltalk.model.json", Manifests.Minimal),
        ]);

        generated.Compiles();
        Assert.Equal(["ClaimJudgeModel.g.cs", "SmalltalkModel.g.cs", "TutorModel.g.cs"], generated.Sources.Keys.Order());
    }

    [Fact]
    public void The_budget_of_another_model_does_not_compile()
    {
        Generate generated = Generate.From(
            [new TestFile("/app/tutor.model.json", Manifests.Tutor), new TestFile("/app/judge.model.json", Manifests.Judge)],
            code: """
                namespace App;
                public static class Use
                {
                    public static object Ask(TutorModel tutor) => tutor.AnswerAsync("?", ClaimJudgeModel.Budgets._8k);
                }
                """);

        Assert.Equal(["CS1503"], generated.CompilerDiagnostics.Select(d => d.Id));
    }

    [Fact]
    public void A_misspelt_adapter_does_not_compile() =>
        Assert.Equal(
            ["CS0117"],
            Generate.From(Manifests.Tutor, code: "class Use { object o = App.TutorModel.Adapters.Aritmetic; }").CompilerDiagnostics.Select(d => d.Id));
}
