using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using ModelSdk.Compiler.Reports;

namespace ModelSdk.Compiler.Tests.Reports;

public sealed partial class ReportHtmlTests
{
    private static readonly string[] s_allSections = ["gates", "accuracy", "length", "switcher", "votes", "examples", "training", "export", "build"];

    [Fact]
    public void The_page_is_well_formed_and_stands_alone()
    {
        string html = Page(SampleReport.Full());
        Assert.StartsWith("<!doctype html>\n<html lang=\"en\">", html, StringComparison.Ordinal);
        Assert.EndsWith("</html>\n", html, StringComparison.Ordinal);
        Assert.DoesNotContain("http", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("url(", html, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", html, StringComparison.Ordinal);
        Assert.NotEmpty(Parse(html).Descendants());
    }

    [Fact]
    public void Every_section_has_a_heading_and_an_entry_in_the_contents()
    {
        XElement page = Parse(Page(SampleReport.Full()));
        Assert.Equal(s_allSections, Sections(page));
        Assert.Equal(s_allSections.Select(s => "#" + s), page.Descendants("nav").Single().Descendants("a").Select(a => (string?)a.Attribute("href")));
        Assert.All(page.Descendants("section"), section => Assert.Equal((string?)section.Attribute("aria-labelledby"), (string?)section.Element("h2")?.Attribute("id")));
    }

    [Fact]
    public void Sections_without_data_are_absent()
    {
        XElement page = Parse(Page(SampleReport.Unmeasured()));
        Assert.Equal(["training", "export", "build"], Sections(page));
        Assert.Contains("nothing was measured", page.Value, StringComparison.Ordinal);
        Assert.Equal(["Size"], page.Descendants("dt").Select(dt => dt.Value));
    }

    [Fact]
    public void The_summary_says_what_matters()
    {
        XElement page = Parse(Page(SampleReport.Full()));
        Dictionary<string, string> tiles = page.Descendants("dl").Single().Elements("div").ToDictionary(d => d.Element("dt")!.Value, d => d.Elements("dd").First().Value);
        Assert.Equal("10.0% → 97.3%", tiles["Right answers"]);
        Assert.Equal("203 → 78", tiles["Tokens an answer"]);
        Assert.Equal("74.2% → 86.1%", tiles["By vote"]);
        Assert.Equal("1.35 MB", tiles["Size"]);
        Assert.Equal("✗ 1 failed", tiles["Gates"]);
    }

    [Fact]
    public void Every_chart_has_a_name_and_a_description_and_every_id_is_used_once()
    {
        XElement page = Parse(Page(SampleReport.Full()));
        XElement[] charts = [.. page.Descendants("svg").Where(s => (string?)s.Attribute("role") == "img")];
        Assert.Equal(["lengths", "hard-arithmetic", "switcher-share", "switcher-tokens", "votes-arithmetic", "loss-arithmetic", "reward-arithmetic", "accuracy-arithmetic", "length-arithmetic", "within-arithmetic", "kl-arithmetic"],
            charts.Select(c => ((string)c.Attribute("aria-labelledby")!).Split(' ')[0][..^2]));
        Assert.All(charts, chart =>
        {
            string[] ids = ((string)chart.Attribute("aria-labelledby")!).Split(' ');
            Assert.Equal(ids, new[] { (string?)chart.Element("title")?.Attribute("id"), (string?)chart.Element("desc")?.Attribute("id") });
            Assert.False(string.IsNullOrWhiteSpace(chart.Element("title")!.Value));
            Assert.False(string.IsNullOrWhiteSpace(chart.Element("desc")!.Value));
        });
        string[] all = [.. page.Descendants().Select(e => (string?)e.Attribute("id")).OfType<string>()];
        Assert.Equal(all.Distinct(), all);
    }

    [Fact]
    public void Hostile_text_stays_text()
    {
        string html = Page(SampleReport.Full());
        XElement page = Parse(html);
        Assert.Equal(SampleReport.Hostile, page.Descendants("p").Where(p => (string?)p.Attribute("class") == "question").Last().Value);
        Assert.DoesNotContain(page.Descendants(), e => e.Name.LocalName is "script" or "img" or "i" or "b");
        Assert.DoesNotContain(page.Descendants().Attributes(), a => a.Name.LocalName.StartsWith("on", StringComparison.Ordinal));

        JsonObject named = SampleReport.Full();
        named["name"] = SampleReport.Hostile;
        XElement renamed = Parse(Page(named));
        Assert.Equal(SampleReport.Hostile, renamed.Descendants("h1").Single().Value);
        Assert.Single(renamed.Descendants("style"));
    }

    [Fact]
    public void Numbers_are_written_the_same_in_every_culture()
    {
        string expected = Page(SampleReport.Full());
        CultureInfo before = CultureInfo.CurrentCulture;
        CultureInfo comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        comma.NumberFormat.NumberGroupSeparator = ".";
        comma.NumberFormat.NegativeSign = "−";
        try
        {
            CultureInfo.CurrentCulture = comma;
            Assert.Equal("0,5", 0.5.ToString(CultureInfo.CurrentCulture));
            Assert.Equal(expected, Page(SampleReport.Full()));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData("lengths")]
    [InlineData("hardBudgets")]
    [InlineData("switcher")]
    [InlineData("verifier")]
    [InlineData("parallel")]
    [InlineData("earlyStopping")]
    [InlineData("gates")]
    [InlineData("lengthReduction")]
    [InlineData("model")]
    [InlineData("parity")]
    [InlineData("examples")]
    public void Any_part_may_be_missing(string part)
    {
        JsonObject report = SampleReport.Full();
        Assert.True(report.Remove(part));
        Assert.NotEmpty(Sections(Parse(Page(report))));
    }

    internal static string Page(JsonObject report) => Encoding.UTF8.GetString(ReportHtml.Bytes(report));

    private static IEnumerable<string?> Sections(XElement page) => page.Descendants("section").Select(s => (string?)s.Attribute("id"));

    // The page is HTML whose elements are all closed, but for those that never are: so an XML parser finds every mistake in nesting and escaping.
    private static XElement Parse(string html) => XElement.Parse(VoidElement().Replace(html["<!doctype html>\n".Length..], "$0</$1>"), LoadOptions.PreserveWhitespace);

    [GeneratedRegex("<(meta)[^>]*>")]
    private static partial Regex VoidElement();
}
