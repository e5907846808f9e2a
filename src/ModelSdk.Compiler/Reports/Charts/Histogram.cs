namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>Counts in bins.</summary>
/// <param name="Name">As in the legend.</param>
/// <param name="Style">Its look.</param>
/// <param name="Edges">Ends of the bins, one more than there are bins, rising.</param>
/// <param name="Counts">Values in each bin.</param>
internal sealed record Distribution(string Name, SeriesStyle Style, IReadOnlyList<double> Edges, IReadOnlyList<double> Counts);

/// <summary>Distributions over one axis, as shares, so that samples of different size compare.</summary>
internal sealed record Histogram
{
    /// <summary>Unique in the page.</summary>
    public required string Id { get; init; }

    /// <summary>What the chart shows.</summary>
    public required string Title { get; init; }

    /// <summary>What is to be seen in it, for those who do not see it.</summary>
    public required string Description { get; init; }

    /// <summary>Horizontal axis with its unit.</summary>
    public required string AxisX { get; init; }

    /// <summary>The distributions.</summary>
    public required IReadOnlyList<Distribution> Distributions { get; init; }

    /// <summary>A vertical line with a name, such as a budget.</summary>
    public (double X, string Name)? Mark { get; init; }

    /// <summary>The chart as SVG.</summary>
    public Html Draw()
    {
        double most = Distributions.Max(d => Shares(d).Max());
        PlotArea plot = PlotArea.Linear(Distributions.Min(d => d.Edges[0]), Distributions.Max(d => d.Edges[^1]), Ticks.Around(0, most), whole: true, Mark is not null);
        Html svg = new();
        PlotArea.Open(svg, Id, Title, Description);
        plot.DrawAxes(svg, AxisX, "share of answers, %");
        foreach (Distribution distribution in Distributions)
        {
            double[] shares = [.. Shares(distribution)];
            svg.Add($"<g class=\"{Legend.Class(distribution.Style)}\"><path class=\"area\" d=\"M{plot.X(distribution.Edges[0]):0.##} {PlotArea.Bottom:0.##}");
            for (int i = 0; i < shares.Length; i++)
            {
                svg.Add($"V{plot.Y(shares[i]):0.##}H{plot.X(distribution.Edges[i + 1]):0.##}");
            }

            svg.Add($"V{PlotArea.Bottom:0.##}\"/></g>\n");
        }

        if (Mark is (double x, string name))
        {
            plot.DrawMark(svg, x, name);
        }

        return svg.Add($"</svg>\n");
    }

    private static IEnumerable<double> Shares(Distribution distribution)
    {
        double all = Math.Max(distribution.Counts.Sum(), 1e-12);
        return distribution.Counts.Select(c => 100 * c / all);
    }
}
