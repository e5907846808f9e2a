namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>Names the series of a chart.</summary>
internal static class Legend
{
    /// <summary>The style's class in the page's style sheet.</summary>
    public static string Class(SeriesStyle style) => style switch
    {
        SeriesStyle.Main => "main",
        SeriesStyle.Before => "before",
        SeriesStyle.Third => "third",
        _ => "reference",
    };

    /// <summary>A list of names with their looks; nothing for a single series, which the title names.</summary>
    public static Html Of(IReadOnlyList<(string Name, SeriesStyle Style)> series)
    {
        Html html = new();
        if (series.Count < 2)
        {
            return html;
        }

        html.Add($"<ul class=\"legend\">");
        foreach ((string name, SeriesStyle style) in series)
        {
            html.Add($"<li><svg class=\"{Class(style)}\" viewBox=\"0 0 26 12\" aria-hidden=\"true\"><path class=\"line\" d=\"M1 6H25\"/>{Marker(style, 13, 6)}</svg>{name}</li>");
        }

        return html.Add($"</ul>\n");
    }

    /// <summary>The marker of a value: another shape for each style.</summary>
    public static Html Marker(SeriesStyle style, double x, double y) => style switch
    {
        SeriesStyle.Main => new Html().Add($"<circle class=\"dot\" cx=\"{x:0.##}\" cy=\"{y:0.##}\" r=\"3.6\"/>"),
        SeriesStyle.Before => new Html().Add($"<rect class=\"dot\" x=\"{x - 3.2:0.##}\" y=\"{y - 3.2:0.##}\" width=\"6.4\" height=\"6.4\"/>"),
        SeriesStyle.Third => new Html().Add($"<path class=\"dot\" d=\"M{x:0.##} {y - 4.4:0.##}l4.2 7.4h-8.4z\"/>"),
        _ => new Html().Add($"<path class=\"dot\" d=\"M{x:0.##} {y - 4.4:0.##}l4.4 4.4l-4.4 4.4l-4.4 -4.4z\"/>"),
    };
}
