namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>Values over a number: training curves, accuracy over budgets or streams.</summary>
internal sealed record LineChart
{
    /// <summary>Unique in the page.</summary>
    public required string Id { get; init; }

    /// <summary>What the chart shows.</summary>
    public required string Title { get; init; }

    /// <summary>What is to be seen in it, for those who do not see it.</summary>
    public required string Description { get; init; }

    /// <summary>Horizontal axis with its unit.</summary>
    public required string AxisX { get; init; }

    /// <summary>Vertical axis with its unit.</summary>
    public required string AxisY { get; init; }

    /// <summary>The lines.</summary>
    public required IReadOnlyList<Series> Series { get; init; }

    /// <summary>One place for each horizontal value instead of a linear axis.</summary>
    public bool Ordinal { get; init; }

    /// <summary>Values that the vertical axis shows in any case; 0 keeps lengths honest.</summary>
    public IReadOnlyList<double> Include { get; init; } = [];

    /// <summary>Most that the vertical axis may show, such as 100 for percents.</summary>
    public double? Most { get; init; }

    /// <summary>Mark the values; default where there are few.</summary>
    public bool? Markers { get; init; }

    /// <summary>A vertical line with a name, such as a threshold.</summary>
    public (double X, string Name)? Mark { get; init; }

    /// <summary>The chart as SVG.</summary>
    public Html Draw()
    {
        DataPoint[] all = [.. Series.SelectMany(s => s.Points)];
        double[] heights = [.. all.SelectMany(p => (double[])[p.Y, p.Low ?? p.Y, p.High ?? p.Y]), .. Include];
        double most = Math.Min(heights.Max(), Most ?? double.MaxValue);
        Ticks y = Ticks.Around(Math.Min(heights.Min(), most), most);
        PlotArea plot = Ordinal
            ? PlotArea.Ordinal(all.Select(p => p.X), y, Mark is not null)
            : PlotArea.Linear(all.Min(p => p.X), all.Max(p => p.X), y, all.All(p => p.X == Math.Round(p.X)), Mark is not null);
        Html svg = new();
        PlotArea.Open(svg, Id, Title, Description);
        plot.DrawAxes(svg, AxisX, AxisY);
        if (Mark is (double x, string name))
        {
            plot.DrawMark(svg, x, name);
        }

        foreach (Series series in Series)
        {
            Draw(svg, plot, series);
        }

        return svg.Add($"</svg>\n");
    }

    private void Draw(Html svg, PlotArea plot, Series series)
    {
        svg.Add($"<g class=\"{Legend.Class(series.Style)}\">");
        if (series.Points.Count > 1)
        {
            svg.Add($"<path class=\"line\" d=\"");
            string command = "M";
            foreach (DataPoint point in series.Points)
            {
                svg.Add($"{command}{plot.X(point.X):0.##} {plot.Y(point.Y):0.##}");
                command = "L";
            }

            svg.Add($"\"/>");
        }

        foreach (DataPoint point in series.Points)
        {
            double x = plot.X(point.X);
            if (point is { Low: double low, High: double high })
            {
                svg.Add($"<path class=\"interval\" d=\"M{x:0.##} {plot.Y(low):0.##}V{plot.Y(high):0.##}M{x - 4:0.##} {plot.Y(low):0.##}h8M{x - 4:0.##} {plot.Y(high):0.##}h8\"/>");
            }

            if (Markers ?? series.Points.Count <= 24)
            {
                svg.Add($"<g><title>{series.Name}: {plot.TextX(point.X)}: {point.Y:0.##}</title>{Legend.Marker(series.Style, x, plot.Y(point.Y))}</g>");
            }
        }

        svg.Add($"</g>\n");
    }
}
