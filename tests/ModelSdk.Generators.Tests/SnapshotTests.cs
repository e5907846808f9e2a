using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>
/// Whole clients, as files to read. To accept a change, run these tests with UPDATE_SNAPSHOTS=1 and review the diff.
/// </summary>
public partial class SnapshotTests
{
    [Fact]
    public void A_client_with_adapter_budgets_integer_answers_and_measured_results() =>
        Matches(
            "TutorModel",
            Generate.From([new TestFile("/app/tutor.model.json", Manifests.Tutor), TestFile.Lock("/app/tutor.model.lock.json", Manifests.TutorLock)], "MathTutor"));

    [Fact]
    public void A_client_of_a_base_alone_in_the_global_namespace() =>
        Matches("SmalltalkModel", Generate.From(Manifests.Minimal, "smalltalk.model.json", rootNamespace: null));

    [Fact]
    public void A_client_with_two_adapters_mapped_names_and_choices() =>
        Matches("ClaimJudgeModel", Generate.From(Manifests.Judge, "C:\\repo\\judge.model.json", "Contoso.Claims"));

    [Fact]
    public void A_client_with_a_switcher_a_verifier_and_votes() =>
        Matches(
            "SolverModel",
            Generate.From([new TestFile("/app/solver.model.json", Manifests.Solver), TestFile.Lock("/app/solver.model.lock.json", Manifests.SolverLock)], "Solve"));

    private static void Matches(string name, Generate generated, [CallerFilePath] string testFile = "")
    {
        generated.Compiles();
        string source = Version.Replace(generated.Sources[name + ".g.cs"], "VERSION");
        string file = name + ".g.cs.txt";
        if (Environment.GetEnvironmentVariable("UPDATE_SNAPSHOTS") == "1")
            File.WriteAllText(Path.Combine(Path.GetDirectoryName(testFile)!, "Snapshots", file), source);
        else
            Assert.Equal(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Snapshots", file)).ReplaceLineEndings("\n"), source);
    }

    [GeneratedRegex(@"(?<=GeneratedCode\(""ModelSdk.Generators"", "")[0-9.]+")]
    private static partial Regex Version { get; }
}
