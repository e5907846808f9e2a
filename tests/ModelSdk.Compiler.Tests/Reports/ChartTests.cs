using System.Globalization;
using System.Xml.Linq;
using ModelSdk.Compiler.Reports;
using ModelSdk.Compiler.Reports.Charts;

namespace ModelSdk.Compiler.Tests.Reports;

public sealed class ChartTests
{
    [Theory]
    [InlineData(0, 1, "0.0 0.2 0.4 0.6 0.8 1.0")]
    [InlineData(0, 100, "0 20 40 60 80 100")]
    [InlineData(0.97, 0.99, "0.970 0.975 0.980 0.985 0.990")]
    [InlineData(-3, 8, "-4 -2 0 2 4 6 8")]
    [InlineData(1, 100, "0 20 40 60 80 100")]
    [InlineData(0, 1.38, "0.0 0.2 0.4 0.6 0.8 1.0 1.2 1.4")]
    [InlineData(0, 12_345, "0 2,000 4,000 6,000 8,000 10,000 12,000 14,000")]
    [InlineData(0, 0.00031, "0.00000 0.00005 0.00010 0.00015 0.00020 0.00025 0.00030 0.00035")]
    [InlineData(5, 5, "5 6 7 8 9 10")]
    [InlineData(0, 0, "0.0 0.2 0.4 0.6 0.8 1.0")]
    public void Ticks_are_round_and_enclose_the_values(double least, double most, string expected)
    {
        Ticks ticks = Ticks.Around(least, most);
        Assert.Equal(expected, string.Join(' ', ticks.Values.Select(ticks.Text)));
        Assert.True(ticks.First <= least && ticks.Last >= most);
    }

    [Fact]
    public void Ticks_of_random_ranges_enclose_them_in_few_even_steps()
    {
        Random random = new(3);
        for (int i = 0; i < 2000; i++)
        {
            double least = (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 7));
            double most = least + (random.NextDouble() * Math.Pow(10, random.Next(-6, 7)));
            Ticks ticks = Ticks.Around(least, most);
            double step = ticks.Values[1] - ticks.Values[0];
            Assert.True(ticks.First <= least + (1e-6 * step) && ticks.Last >= most - (1e-6 * step), $"{least} {most}");
            Assert.InRange(ticks.Values.Count, 3, 10);
            Assert.Equal(ticks.Values.Count, ticks.Values.Select(ticks.Text).Distinct().Count());
        }
    }

    [Fact]
    public void Steps_are_counted_in_whole_numbers()
    {
        Ticks ticks = Ticks.Around(1, 4, whole: true);
        Assert.Equal("1 2 3 4", string.Join(' ', ticks.Values.Select(ticks.Text)));
        Assert.DoesNotContain("1.5", Draw(Line([new DataPoint(1, 0.5), new DataPoint(4, 0.7)])).Elements("text").Where(t => (string?)t.Attribute("text-anchor") == "middle").Select(t => t.Value));
    }

    [Fact]
    public void An_axis_without_finite_ends_is_refused() => Assert.Throws<ArgumentException>(() => Ticks.Around(0, double.NaN));

    [Fact]
    public void A_line_goes_through_its_values()
    {
        XElement svg = Draw(Line([new DataPoint(0, 0), new DataPoint(5, 50), new DataPoint(10, 100)]));
        double[][] points = [.. ((string)svg.Descendants("path").Single(p => Is(p, "line")).Attribute("d")!)[1..].Split('L').Select(p => p.Split(' ').Select(n => double.Parse(n, CultureInfo.InvariantCulture)).ToArray())];
        Assert.Equal(3, points.Length);
        Assert.Equal((points[0][0] + points[2][0]) / 2, points[1][0], 0.02);
        Assert.Equal((points[0][1] + points[2][1]) / 2, points[1][1], 0.02);
        Assert.True(points[0][0] < points[2][0] && points[0][1] > points[2][1], "to the right and up");
        Assert.All(points, p => Assert.True(p[0] is >= 0 and <= PlotArea.Width && p[1] is >= 0 and <= PlotArea.Height));
        Assert.Contains("right answers, %", svg.Value, StringComparison.Ordinal);
        Assert.Contains("steps", svg.Value, StringComparison.Ordinal);
        Assert.Equal(3, svg.Descendants("circle").Count());
    }

    [Fact]
    public void Places_of_an_ordinal_axis_are_even_and_intervals_enclose_their_value()
    {
        XElement svg = Draw(Line([new DataPoint(1, 50, 40, 60), new DataPoint(2, 60, 55, 70), new DataPoint(8, 80, 75, 85)]) with { Ordinal = true });
        double[] x = [.. svg.Descendants("circle").Select(c => (double)c.Attribute("cx")!)];
        Assert.Equal(x[1] - x[0], x[2] - x[1], 0.02);
        Assert.Equal(3, svg.Descendants("path").Count(p => Is(p, "interval")));
        Assert.Equal(["1", "2", "8"], svg.Elements("text").Where(t => (string?)t.Attribute("text-anchor") == "middle").Select(t => t.Value));
    }

    [Fact]
    public void A_mark_names_its_place() =>
        Assert.Contains("threshold 0.50", Draw(Line([new DataPoint(0, 1), new DataPoint(1, 2)]) with { Mark = (0.5, "threshold 0.50") }).Value, StringComparison.Ordinal);

    [Fact]
    public void A_chart_of_one_value_or_of_equal_values_is_drawn()
    {
        Draw(Line([new DataPoint(3, 7)]));
        Draw(Line([new DataPoint(3, 7)]) with { Ordinal = true });
        Draw(Line([new DataPoint(1, 7), new DataPoint(2, 7)]));
        Draw(Line([new DataPoint(1, 0), new DataPoint(2, 0)]));
    }

    [Fact]
    public void Bars_are_as_long_as_their_values_and_names_are_escaped()
    {
        BarChart chart = new() { Full = 1, Bars = [new Bar("<a>", 0.5, "50%", SeriesStyle.Main, 0.4, 0.6), new Bar("all", 1, "100%"), new Bar("more", 3, "3"), new Bar("none", 0, "0")] };
        XElement svg = XElement.Parse(chart.Draw().ToString());
        double[] widths = [.. svg.Descendants("rect").Where(r => Is(r, "bar")).Select(r => (double)r.Attribute("width")!)];
        Assert.Equal(widths[1] / 2, widths[0], 0.02);
        Assert.Equal(widths[1], widths[2]);
        Assert.Equal(0, widths[3]);
        Assert.Contains("<a>", svg.Value, StringComparison.Ordinal);
        Assert.Single(svg.Descendants("path"));
    }

    [Fact]
    public void A_histogram_shows_shares()
    {
        Histogram chart = new()
        {
            Id = "h",
            Title = "t",
            Description = "d",
            AxisX = "tokens",
            Distributions = [new("a", SeriesStyle.Main, [0, 10, 20], [1, 3]), new("b", SeriesStyle.Before, [0, 10, 20], [25, 75])],
        };
        XElement svg = XElement.Parse(chart.Draw().ToString());
        string[] areas = [.. svg.Descendants("path").Where(p => Is(p, "area")).Select(p => (string)p.Attribute("d")!)];
        Assert.Equal(areas[0], areas[1]);
        Assert.Contains("80", svg.Value, StringComparison.Ordinal);
        Draw(Line([new DataPoint(0, 0)]));
    }

    [Fact]
    public void A_legend_tells_series_apart_by_shape_as_well()
    {
        string legend = Legend.Of([("now", SeriesStyle.Main), ("before", SeriesStyle.Before), ("third", SeriesStyle.Third), ("base", SeriesStyle.Reference)]).ToString();
        XElement list = XElement.Parse(legend);
        Assert.Equal(["now", "before", "third", "base"], list.Elements("li").Select(li => li.Value));
        Assert.Equal(4, list.Descendants().Where(e => Is(e, "dot")).Select(e => e.Name.LocalName + Shape(e)).Distinct().Count());
        Assert.True(Legend.Of([("only", SeriesStyle.Main)]).IsEmpty);

        static string Shape(XElement e) => string.Concat(((string?)e.Attribute("d") ?? "").Where(char.IsLetter));
    }

    private static LineChart Line(DataPoint[] points) => new()
    {
        Id = "c",
        Title = "A chart",
        Description = "What it shows",
        AxisX = "steps",
        AxisY = "right answers, %",
        Series = [new Series("model", SeriesStyle.Main, points)],
    };

    private static XElement Draw(LineChart chart)
    {
        Html html = chart.Draw();
        Assert.DoesNotContain("NaN", html.ToString(), StringComparison.Ordinal);
        return XElement.Parse(html.ToString());
    }

    private static bool Is(XElement element, string name) => (string?)element.Attribute("class") == name;
}
