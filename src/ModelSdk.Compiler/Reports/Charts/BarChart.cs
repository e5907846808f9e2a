namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>One bar.</summary>
/// <param name="Name">What it stands for.</param>
/// <param name="Value">Its length.</param>
/// <param name="Text">The value with its unit.</param>
/// <param name="Style">Its look.</param>
/// <param name="Low">Lower end of its interval.</param>
/// <param name="High">Upper end of its interval.</param>
internal sealed record Bar(string Name, double Value, string Text, SeriesStyle Style = SeriesStyle.Main, double? Low = null, double? High = null);

/// <summary>Lying bars, each under its name and value. Those are plain text, so they wrap where there is little room, and are read aloud as they stand.</summary>
internal sealed record BarChart
{
    /// <summary>The bars from top to bottom.</summary>
    public required IReadOnlyList<Bar> Bars { get; init; }

    /// <summary>The value of a full bar; default: the greatest.</summary>
    public double? Full { get; init; }

    /// <summary>The chart as a list with a drawing an entry.</summary>
    public Html Draw()
    {
        double full = Math.Max(Full ?? Bars.Max(b => Math.Max(b.Value, b.High ?? b.Value)), 1e-12);
        double Place(double value) => 100 * Math.Clamp(value / full, 0, 1);
        Html html = new Html().Add($"<ul class=\"bars\">\n");
        foreach (Bar bar in Bars)
        {
            html.Add($"<li><span>{bar.Name}</span> <span class=\"value\">{bar.Text}</span><svg class=\"{Legend.Class(bar.Style)}\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"10\"/><rect class=\"bar\" width=\"{Place(bar.Value):0.##}\" height=\"10\"/>");
            if (bar is { Low: double low, High: double high })
            {
                html.Add($"<path class=\"whisker\" d=\"M{Place(low):0.##} 5H{Place(high):0.##}M{Place(low):0.##} 1v8M{Place(high):0.##} 1v8\"/>");
            }

            html.Add($"</svg></li>\n");
        }

        return html.Add($"</ul>\n");
    }
}
