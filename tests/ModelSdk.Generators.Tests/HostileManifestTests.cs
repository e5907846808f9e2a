using CsCheck;

using Microsoft.CodeAnalysis;

using ModelSdk.Generators.Tests.Testing;

namespace ModelSdk.Generators.Tests;

/// <summary>Whatever a manifest holds, the generator throws nothing: it reports errors and no client, or a client that compiles.</summary>
public class HostileManifestTests
{
    private static readonly string[] Values =
    [
        "null", "true", "0", "-1", "64", "65", "1e999", "1e-400", "0.5", "\"\"", "\"auto\"", "\"base\"", "\"steps\"", "\"\\u0000\"", "[]", "[64]", "[64,64]", "[[[[]]]]", "{}",
        "{\"train\":\"t\"}", "{\"tokens\":8,\"streams\":64}", "{\"budgets\":[8]}", "{\"type\":\"choice\",\"choices\":[\"</c>\",\"*/\"]}",
    ];

    [Fact]
    public void A_manifest_with_any_value_replaced_gives_a_client_that_compiles_or_errors() =>
        Gen.Select(Gen.Int[0, 10_000], Gen.Int[0, Values.Length - 1], Gen.Int[0, 10_000], Gen.Int[0, Values.Length - 1]).Sample(
            (first, firstValue, second, secondValue) =>
            {
                string text = Replace(Replace(Manifests.Solver, first, Values[firstValue]), second, Values[secondValue]);
                Generate generated = Generate.From(text, "/app/solver.model.json");
                if (generated.Diagnostics.Any(d => d.Severity == DiagnosticSeverity.Error)) Assert.Empty(generated.Sources);
                else generated.Compiles();
            },
            iter: 150,
            threads: 1);

    [Fact]
    public void A_cut_manifest_gives_errors()
    {
        for (int length = 0; length < Manifests.Solver.Length - 1; length += 7)
        {
            Generate generated = Generate.From(Manifests.Solver[..length], "/app/solver.model.json");
            Assert.Empty(generated.Sources);
            Assert.NotEmpty(generated.Diagnostics);
        }
    }

    /// <summary>Puts another value behind one of the text's colons.</summary>
    private static string Replace(string text, int at, string value)
    {
        int[] colons = [.. Enumerable.Range(0, text.Length).Where(i => text[i] == ':')];
        if (colons.Length == 0) return text;
        int start = colons[at % colons.Length] + 1;
        int end = text.IndexOfAny([',', '}', '\n'], start);
        return end < 0 ? text[..start] + value : text[..start] + " " + value + text[end..];
    }
}
