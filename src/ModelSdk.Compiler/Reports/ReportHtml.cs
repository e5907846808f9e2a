using System.Text;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Reports.Sections;

namespace ModelSdk.Compiler.Reports;

/// <summary>report.html: report.json for people, in one file without scripts or links to elsewhere, light and dark. A section without data is absent.</summary>
internal static class ReportHtml
{
    public const string FileName = "report.html";

    private static readonly (string Id, string Title, Func<JsonObject, Html?> Write)[] s_sections =
    [
        (GatesSection.Id, GatesSection.Title, GatesSection.Write),
        (AccuracySection.Id, AccuracySection.Title, AccuracySection.Write),
        (LengthSection.Id, LengthSection.Title, LengthSection.Write),
        (SwitcherSection.Id, SwitcherSection.Title, SwitcherSection.Write),
        (VotingSection.Id, VotingSection.Title, VotingSection.Write),
        (ExamplesSection.Id, ExamplesSection.Title, ExamplesSection.Write),
        (TrainingSection.Id, TrainingSection.Title, TrainingSection.Write),
        (ExportSection.Id, ExportSection.Title, ExportSection.Write),
        (BuildSection.Id, BuildSection.Title, BuildSection.Write),
    ];

    public static byte[] Bytes(JsonObject report)
    {
        Html sections = new();
        Html contents = new();
        foreach ((string id, string title, Func<JsonObject, Html?> write) in s_sections)
        {
            if (write(report) is Html section)
            {
                sections.Add(section);
                contents.Add($"<li><a href=\"#{id}\">{title}</a></li>");
            }
        }

        Html page = new();
        page.Add($"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{(string?)report["name"]}: model report</title>
            <style>
            {s_style.Value}</style>
            </head>
            <body>
            <header>
            {Summary.Write(report)}<nav aria-label="Contents"><ul>{contents}</ul></nav>
            </header>
            <main>
            {sections}</main>
            <footer>
            <p>Written by modelc {(string?)report["compiler"]} on {report["machine"]?["rid"]?.ToString()} with {report["machine"]?["processors"]?.ToString()} processors, seed {report["baseline"]?["seed"]?.ToString()}. The same numbers for programs: <code>report.json</code>, beside this page.</p>
            <p><code>{(string?)report["digest"]}</code></p>
            </footer>
            </body>
            </html>

            """);
        return Encoding.UTF8.GetBytes(page.ToString());
    }

    // The style sheet is a file of its own, and markup here: it holds no value.
    private static readonly Lazy<Html> s_style = new(() =>
    {
        using Stream stream = typeof(ReportHtml).Assembly.GetManifestResourceStream("report.css")!;
        using StreamReader reader = new(stream);
        return Html.Raw(reader.ReadToEnd());
    });
}
