using System.Globalization;

namespace ModelSdk.Compiler.Reports;

/// <summary>The pieces that sections of the page are made of.</summary>
internal static class Page
{
    /// <summary>A section with its heading and what to take from it.</summary>
    /// <param name="id">Its anchor.</param>
    /// <param name="title">Its heading.</param>
    /// <param name="lead">One or two sentences; markup.</param>
    /// <param name="body">Figures and tables.</param>
    public static Html Section(string id, string title, Html lead, Html body) => new Html().Add($"""
        <section id="{id}" aria-labelledby="{id}-h">
        <h2 id="{id}-h">{title}</h2>
        <p class="lead">{lead}</p>
        {body}</section>

        """);

    /// <summary>A chart with its title, legend, and the same numbers as a table that opens on demand.</summary>
    public static Html Figure(string title, Html legend, Html chart, Html? table = null)
    {
        Html html = new Html().Add($"<figure><figcaption>{title}</figcaption>\n{legend}{chart}");
        if (table is not null)
        {
            html.Add($"<details><summary>Numbers</summary>{table}</details>");
        }

        return html.Add($"</figure>\n");
    }

    /// <summary>Figures side by side where there is room.</summary>
    public static Html Figures(IEnumerable<Html> figures)
    {
        Html html = new Html().Add($"<div class=\"figures\">\n");
        foreach (Html figure in figures)
        {
            html.Add(figure);
        }

        return html.Add($"</div>\n");
    }

    /// <summary>A table; numbers stand to the right.</summary>
    /// <param name="columns">Headings; those that end in a space are of columns of text, as is the first.</param>
    /// <param name="rows">Cells; those that begin with ✓ or ✗ get the color of it.</param>
    public static Html Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        bool Numeric(int column) => column > 0 && !columns[column].EndsWith(' ');
        Html html = new Html().Add($"<div class=\"wide\" tabindex=\"0\"><table{(columns.Count <= 5 ? s_slim : s_nothing)}>\n<thead><tr>");
        for (int i = 0; i < columns.Count; i++)
        {
            html.Add($"<th scope=\"col\"{(Numeric(i) ? s_number : s_nothing)}>{columns[i].TrimEnd()}</th>");
        }

        html.Add($"</tr></thead>\n<tbody>\n");
        foreach (IReadOnlyList<string> row in rows)
        {
            html.Add($"<tr><th scope=\"row\">{row[0]}</th>");
            for (int i = 1; i < columns.Count; i++)
            {
                html.Add($"<td{(row[i].StartsWith('✓') ? s_right : row[i].StartsWith('✗') ? s_wrong : Numeric(i) ? s_number : s_nothing)}>{row[i]}</td>");
            }

            html.Add($"</tr>\n");
        }

        return html.Add($"</tbody></table></div>\n");
    }

    /// <summary>A share as a percentage with one decimal.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:F1}%");

    /// <summary>A number with a fixed count of decimals and groups of thousands.</summary>
    public static string Number(double value, int decimals = 0) => value.ToString("N" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);

    /// <summary>A count of tokens.</summary>
    public static string Tokens(double count) => Number(count) is "1" ? "1 token" : $"{Number(count)} tokens";

    /// <summary>A size in decimal units, as disks are sold.</summary>
    public static string Bytes(double bytes) => bytes switch
    {
        >= 1e9 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F2} GB"),
        >= 1e6 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F2} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:F1} kB"),
    };

    private static readonly Html s_number = new Html().Add($" class=\"n\"");
    private static readonly Html s_slim = new Html().Add($" class=\"slim\"");
    private static readonly Html s_right = new Html().Add($" class=\"right\"");
    private static readonly Html s_wrong = new Html().Add($" class=\"wrong\"");
    private static readonly Html s_nothing = new();
}
