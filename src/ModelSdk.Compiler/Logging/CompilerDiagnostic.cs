namespace ModelSdk.Compiler.Logging;

/// <summary>How bad a diagnostic is.</summary>
public enum DiagnosticLevel
{
    /// <summary>For the reader's information.</summary>
    Info,

    /// <summary>The compile goes on.</summary>
    Warning,

    /// <summary>The compile fails.</summary>
    Error,
}

/// <summary>One message about the user's files. Lines and columns are 1-based; 0 means "no position".</summary>
/// <param name="Level">How bad it is.</param>
/// <param name="Code">"MDLnnnn".</param>
/// <param name="Message">What happened, why, and what to do.</param>
/// <param name="File">The file it is about, or null.</param>
/// <param name="Line">First line.</param>
/// <param name="Column">First column.</param>
/// <param name="EndLine">Last line.</param>
/// <param name="EndColumn">Column after the last character.</param>
public sealed record CompilerDiagnostic(
    DiagnosticLevel Level,
    string Code,
    string Message,
    string? File = null,
    int Line = 0,
    int Column = 0,
    int EndLine = 0,
    int EndColumn = 0);
