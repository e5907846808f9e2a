namespace ModelSdk.Compiler.Reports.Charts;

/// <summary>The look of a series: color, dash and marker together, so that no series is told apart by color alone.</summary>
internal enum SeriesStyle
{
    /// <summary>What the model is now.</summary>
    Main,

    /// <summary>What it was before.</summary>
    Before,

    /// <summary>A third series.</summary>
    Third,

    /// <summary>A reference, such as the base.</summary>
    Reference,
}

/// <summary>One value of a series.</summary>
/// <param name="X">Position on the horizontal axis.</param>
/// <param name="Y">Position on the vertical axis.</param>
/// <param name="Low">Lower end of its interval.</param>
/// <param name="High">Upper end of its interval.</param>
internal readonly record struct DataPoint(double X, double Y, double? Low = null, double? High = null);

/// <summary>A line of a chart.</summary>
/// <param name="Name">As in the legend.</param>
/// <param name="Style">Its look.</param>
/// <param name="Points">Its values in the order of the line.</param>
internal sealed record Series(string Name, SeriesStyle Style, IReadOnlyList<DataPoint> Points);
