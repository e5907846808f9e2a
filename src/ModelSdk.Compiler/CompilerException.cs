using ModelSdk.Compiler.Logging;

namespace ModelSdk.Compiler;

/// <summary>An error that the compiler reports to the user; the run ends with exit code 1.</summary>
public sealed class CompilerException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code "MDLnnnn".</param>
    /// <param name="message">What happened, why, and what to do.</param>
    /// <param name="file">The file that the error is about, where there is one.</param>
    /// <param name="line">1-based line in <paramref name="file"/>; 0 when it has none.</param>
    /// <param name="column">1-based column; 0 when it has none.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public CompilerException(string code, string message, string? file = null, int line = 0, int column = 0, Exception? innerException = null)
        : base(code, message, innerException)
    {
        File = file;
        Line = line;
        Column = column;
    }

    /// <summary>The file that the error is about, where there is one.</summary>
    public string? File { get; }

    /// <summary>1-based line in <see cref="File"/>; 0 when it has none.</summary>
    public int Line { get; }

    /// <summary>1-based column in <see cref="File"/>; 0 when it has none.</summary>
    public int Column { get; }

    /// <summary>The same as a record for the log.</summary>
    public CompilerDiagnostic ToDiagnostic() => new(DiagnosticLevel.Error, Code, Message, File, Line, Column, Line, Column);
}
