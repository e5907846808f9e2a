namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>The frame of a chart with two axes: maps values to places and draws grid, ticks and titles. Lengths are SVG units, about pixels.</summary>
internal sealed class PlotArea
{
    public const double Width = 480;
    public const double Height = 270;
    private const double Left = 50;
    private const double Right = Width - 14;
    private const double Top = 30;
    private const double TopUnderMark = 46;

    /// <summary>Where the horizontal axis lies.</summary>
    public const double Bottom = Height - 46;


    private readonly Ticks _x;
    private readonly Ticks _y;
    private readonly double _left;
    private readonly double _right;
    private readonly double[]? _ordinals;
    private readonly double _top;

    private PlotArea(Ticks x, Ticks y, double left, double right, double[]? ordinals, bool mark)
    {
        _top = mark ? TopUnderMark : Top;
        _x = x;
        _y = y;
        _left = left;
        _right = right;
        _ordinals = ordinals;
    }

    /// <summary>A linear horizontal axis that ends where the values end.</summary>
    /// <param name="left">Value at the left end.</param>
    /// <param name="right">Value at the right end.</param>
    /// <param name="y">Ticks of the vertical axis.</param>
    /// <param name="whole">Ticks at whole numbers only.</param>
    /// <param name="mark">Leave room above for the name of a mark.</param>
    public static PlotArea Linear(double left, double right, Ticks y, bool whole, bool mark)
    {
        Ticks ticks = Ticks.Around(left, right, 5, whole);
        return new PlotArea(new Ticks([.. ticks.Values.Where(v => v >= left - 1e-9 && v <= right + 1e-9)], ticks.Decimals), y, left, right > left ? right : left + 1, ordinals: null, mark);
    }

    /// <summary>A horizontal axis with one place for each value, evenly spaced, as for 1, 2, 4, 8.</summary>
    public static PlotArea Ordinal(IEnumerable<double> values, Ticks y, bool mark)
    {
        double[] places = [.. values.Distinct().Order()];
        int decimals = places.All(v => v == Math.Round(v)) ? 0 : 2;
        return new PlotArea(new Ticks(places, decimals), y, -0.4, places.Length - 0.6, places, mark);
    }

    public double X(double value)
    {
        double place = _ordinals is null ? value : Array.IndexOf(_ordinals, value);
        return Left + ((place - _left) / (_right - _left) * (Right - Left));
    }

    public double Y(double value) => Bottom - ((value - _y.First) / (_y.Last - _y.First) * (Bottom - _top));

    /// <summary>A vertical line with its name above the plot, where no value can be.</summary>
    public void DrawMark(Html svg, double value, string name)
    {
        double place = X(value);
        bool leftHalf = place < Width / 2;
        svg.Add($"<line class=\"mark\" x1=\"{place:0.##}\" x2=\"{place:0.##}\" y1=\"{_top - 16}\" y2=\"{Bottom}\"/><text class=\"tick\" text-anchor=\"{(leftHalf ? "start" : "end")}\" x=\"{place + (leftHalf ? 5 : -5):0.##}\" y=\"{_top - 7}\">{name}</text>\n");
    }

    public string TextX(double value) => _x.Text(value);

    /// <summary>Opens the drawing with its name and description for those who do not see it.</summary>
    public static void Open(Html svg, string id, string title, string description) => svg.Add($"""
        <svg class="chart" viewBox="0 0 {Width} {Height}" role="img" aria-labelledby="{id}-t {id}-d">
        <title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>

        """);

    /// <summary>Grid, ticks and titles.</summary>
    public void DrawAxes(Html svg, string titleX, string titleY)
    {
        svg.Add($"<text class=\"axis\" x=\"2\" y=\"14\">{titleY}</text>\n");
        foreach (double value in _y.Values)
        {
            svg.Add($"<line class=\"{(value == _y.First ? "floor" : "grid")}\" x1=\"{Left}\" x2=\"{Right}\" y1=\"{Y(value):0.##}\" y2=\"{Y(value):0.##}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{Left - 7}\" y=\"{Y(value) + 4:0.##}\">{_y.Text(value)}</text>\n");
        }

        double end = double.NegativeInfinity;
        foreach (double value in _x.Values)
        {
            string text = _x.Text(value);
            double half = (text.Length * 5.6) + 3; // room at the font size of narrow screens
            double place = X(value);
            svg.Add($"<line class=\"floor\" x1=\"{place:0.##}\" x2=\"{place:0.##}\" y1=\"{Bottom}\" y2=\"{Bottom + 4}\"/>");
            if (place - half >= end)
            {
                svg.Add($"<text class=\"tick\" text-anchor=\"middle\" x=\"{Math.Min(place, Width - half):0.##}\" y=\"{Bottom + 19}\">{text}</text>");
                end = place + half;
            }

            svg.Add($"\n");
        }

        svg.Add($"<text class=\"axis\" text-anchor=\"end\" x=\"{Right}\" y=\"{Height - 5}\">{titleX}</text>\n");
    }
}
