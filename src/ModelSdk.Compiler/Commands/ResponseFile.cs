using ModelSdk.Manifest;

namespace ModelSdk.Compiler.Commands;

/// <summary>Response files: <c>modelc @file</c> reads one argument a line, verbatim, so that no path needs quoting.</summary>
internal static class ResponseFile
{
    /// <summary>The arguments in the file when the only argument is <c>@file</c>; else the arguments as they are.</summary>
    /// <exception cref="CompilerException">The file cannot be read.</exception>
    public static string[] Expand(string[] args)
    {
        if (args is not [['@', _, ..] reference])
        {
            return args;
        }

        try
        {
            return [.. File.ReadAllLines(reference[1..]).Where(line => line.Length > 0)];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CompilerException(DiagnosticCodes.CommandLineInvalid, $"The response file {reference[1..]} cannot be read: {exception.Message}", innerException: exception);
        }
    }
}
