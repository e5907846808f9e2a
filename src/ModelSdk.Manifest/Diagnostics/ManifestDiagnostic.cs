using System.Globalization;

namespace ModelSdk.Manifest;

/// <summary>One finding with its place in a file.</summary>
/// <param name="Code">One of <see cref="DiagnosticCodes"/>, for example <c>MDL1005</c>.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Message">What happened, why, and what to do; one line.</param>
/// <param name="Path">The file, as it was handed in.</param>
/// <param name="Line">First line, from 1.</param>
/// <param name="Column">First column, in UTF-16 units, from 1.</param>
/// <param name="EndLine">Last line, from 1.</param>
/// <param name="EndColumn">The column after the last character, from 1.</param>
public sealed record ManifestDiagnostic(
    string Code,
    ManifestSeverity Severity,
    string Message,
    string Path,
    int Line,
    int Column,
    int EndLine,
    int EndColumn)
{
    /// <summary>Offset of the first character in the text, in UTF-16 units, from 0; 0 where no text was read.</summary>
    public int Start { get; init; }

    /// <summary>Length in UTF-16 units.</summary>
    public int Length { get; init; }

    /// <summary>Where the code is explained.</summary>
    public string HelpLink => DiagnosticCodes.HelpLink(Code);

    /// <summary>The form that MSBuild and editors read: <c>file(line,col,endline,endcol): error MDL1001: text</c>.</summary>
    public override string ToString() => string.Format(
        CultureInfo.InvariantCulture,
        "{0}({1},{2},{3},{4}): {5} {6}: {7}",
        Path,
        Line,
        Column,
        EndLine,
        EndColumn,
        Severity switch { ManifestSeverity.Error => "error", ManifestSeverity.Warning => "warning", _ => "info" },
        Code,
        Message);
}
