using System.Reflection;
using System.Text.RegularExpressions;

namespace ModelSdk.Manifest.Tests;

/// <summary>Codes, their titles and docs/diagnostics.md say the same.</summary>
public partial class DiagnosticCodesTests
{
    private static readonly string Page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "docs", "diagnostics.md"));

    private static readonly string[] Constants =
    [
        .. typeof(DiagnosticCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Where(f => f.IsLiteral && f.Name != nameof(DiagnosticCodes.DocumentationPage))
            .Select(f => (string)f.GetRawConstantValue()!),
    ];

    [Fact]
    public void Every_code_is_one_constant_of_the_right_form()
    {
        Assert.All(Constants, code => Assert.Matches("^MDL[1-6][0-9]{3}$", code));
        Assert.Equal(Constants.Distinct().Order(), Constants.Order());
    }

    [Fact]
    public void Every_code_has_a_title_in_the_list_of_its_part()
    {
        Assert.Equal(Constants.Order(), DiagnosticCodes.All.Select(i => i.Code).Order());
        Assert.All(DiagnosticCodes.All, info => Assert.Matches("^[A-Za-z].{3,120}[^.]$", info.Title));
    }

    [Fact]
    public void Every_code_has_its_section_with_the_same_title_and_a_text() =>
        Assert.Equal(
            DiagnosticCodes.All.Select(i => (i.Code, i.Title, HasText: true)).OrderBy(i => i.Code, StringComparer.Ordinal),
            Section().Matches(Page).Select(m => (m.Groups[2].Value, m.Groups[3].Value, m.Groups[4].Value.Trim().Length > 20)).OrderBy(s => s.Item1, StringComparer.Ordinal));

    [Fact]
    public void Every_help_link_has_its_anchor() =>
        Assert.All(DiagnosticCodes.All, info =>
        {
            Assert.StartsWith("docs/diagnostics.md#", info.HelpLink, StringComparison.Ordinal);
            Assert.Contains($"<a id=\"{info.HelpLink.Split('#')[1]}\"></a>", Page, StringComparison.Ordinal);
        });

    [GeneratedRegex("""<a id="(mdl[0-9]+)"></a>\n\n### (MDL[0-9]+): (.*)\n((?:(?!<a id|#).*\n?)*)""")]
    private static partial Regex Section();
}
