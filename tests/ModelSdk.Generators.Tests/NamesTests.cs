using CsCheck;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>Whatever a manifest names things, what is generated compiles, or the manifest is refused.</summary>
public class NamesTests
{
    private static readonly string[] Odd =
    [
        "class", "record", "namespace", "value", "async", "await", "var", "nameof", "field", "Tokens", "Name", "Tutor", "TutorModel", "tutor-adapter",
        "TutorBudget", "TutorVote", "votes", "ballots", "Vote", "Routing", "SwitcherThreshold", "auto-mode", "System", "global", "ModelSdk", "object", "int", "1", "8k", "42", "_", "__", "a_b", "a.b", "a b", "ä", "数学", "Ünïcode", "ﬁ", "ª", "²", "e\u0301",
        "𝒳", "😀", "x😀y", "\"", "\\", "\\u0041", "a\nb", "*/", "//", "</c>", "<see/>", "&amp;", "{0}", "$", "@x", "#if", "", " ", "null", "default", "this",
        "equals", "to-string", "all", "base", "adapters", "get type", "value__", "WithCancellation", "Choices", "ChoiceTexts", "con", "nul.txt", "com1", "lpt9.x", "..", ".", "a.",
    ];

    [Theory]
    [InlineData("class", "Class")]
    [InlineData("数学", "数学")]
    [InlineData("8k", "_8k")]
    [InlineData("long-run_x", "LongRunX")]
    public void A_budget_becomes_a_member(string name, string member)
    {
        var assembly = Generate.From($$"""{ "base": "b", "budgets": { "{{name}}": 10 } }""").Compiles();

        Assert.NotNull(assembly.GetType("App.TutorModel+Budgets")!.GetProperty(member));
    }

    [Fact]
    public void A_name_of_the_longest_identifier_compiles() =>
        Generate.From(Manifest([new string('x', 128)], [new string('y', 128)], [new string('z', 128), "no"], new string('m', 128))).Compiles();

    [Theory]
    [InlineData("My.App", "My.App.TutorModel")]
    [InlineData("class.new", "class.new.TutorModel")]
    [InlineData("1st-app", "_1st_app.TutorModel")]
    [InlineData("App.TutorModel", "App.TutorModel.TutorModel")]
    [InlineData("System.Mine", "System.Mine.TutorModel")]
    [InlineData("", "TutorModel")]
    public void Any_root_namespace_compiles(string rootNamespace, string type) =>
        Assert.NotNull(Generate.From(Manifests.Tutor, rootNamespace: rootNamespace).Compiles().GetType(type));

    [Fact]
    public void Types_of_the_project_that_hide_others_do_no_harm() =>
        Generate.From(
            Manifests.Judge,
            code: """
                namespace App { class System; class String; class Task; class ModelSdk; class Microsoft; class ReasoningModel; class CancellationToken; }
                """).Compiles();

    [Fact]
    public void Every_odd_name_compiles_or_is_refused_alone()
    {
        // Each name alone, so that one refused does not hide the others: all that are accepted go into one manifest.
        string[] accepted = [.. Odd.Where(n => !Generate.From(Manifest([n], [n], ["other", n], "")).Diagnostics.Any())];
        Assert.Contains("class", accepted);
        Assert.DoesNotContain("", accepted);
        string[] distinct = [.. accepted.DistinctBy(n => ModelSdk.Manifest.CSharpNames.ToIdentifier(n), StringComparer.OrdinalIgnoreCase)];

        Generate.From(Manifest(distinct, distinct, distinct, "")).Compiles();
    }

    [Fact]
    public void Random_names_compile_or_are_refused() =>
        Gen.Select(NameGen.Array[0, 3], NameGen.Array[0, 3], NameGen.Array[2, 4], NameGen).Sample(
            (adapters, budgets, choices, name) =>
            {
                Generate generated = Generate.From(Manifest(adapters, budgets, choices, name));
                if (generated.Diagnostics.IsEmpty) generated.Compiles();
                else Assert.Empty(generated.Sources);
            },
            iter: 40,
            threads: 1);

    private static Gen<string> NameGen { get; } = Gen.OneOf(
        Gen.Int[0, Odd.Length - 1].Select(i => Odd[i]),
        Gen.Char['a', 'z'].Array[1, 8].Select(c => new string(c)),
        Gen.String[1, 6]);

    private static string Manifest(string[] adapters, string[] budgets, string[] choices, string name) => $$"""
        {
          {{(name.Length > 0 ? $"\"name\": {Json(name)}," : "")}}
          "base": "base",
          "adapters": { {{string.Join(", ", adapters.Select(a => Json(a) + ": { \"train\": \"t.jsonl\", \"verifier\": {} }"))}} },
          {{(adapters.Length > 0 ? "\"switcher\": { \"train\": \"s.jsonl\" }," : "")}}
          "budgets": { {{string.Join(", ", budgets.Select((b, i) => $"{Json(b)}: {{ \"tokens\": 7, \"streams\": {1 + (i % 64)} }}"))}} },
          "answer": { "type": "choice", "choices": [{{string.Join(", ", choices.Select(Json))}}] }
        }
        """;

    private static string Json(string text) => System.Text.Json.JsonSerializer.Serialize(text);
}
