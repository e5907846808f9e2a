using System.CommandLine;
using System.Text;
using ModelSdk.Compiler.Logging;
using ModelSdk.Manifest;
using ModelSdk.Training;

namespace ModelSdk.Compiler.Commands;

/// <summary>modelc's verbs. Every verb takes <c>--json FILE|-</c>.</summary>
internal static class CommandLine
{
    /// <summary>Runs one command line.</summary>
    /// <returns>An exit code of <see cref="ExitCodes"/>.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        try
        {
            args = ResponseFile.Expand(args);
        }
        catch (CompilerException exception)
        {
            await Console.Error.WriteLineAsync(CompilerLog.Canonical(exception.ToDiagnostic())).ConfigureAwait(false);
            return ExitCodes.Usage;
        }

        RootCommand root = new("modelc compiles reasoning models: *.model.json in, a bundle of ONNX graphs out.")
        {
            CompileCommand.Create(),
            PlanCommand.Create(),
            InspectCommand.Create(),
            RunCommand.Create(),
            EvalCommand.Create(),
            BenchCommand.Create(),
            SynthCommand.Create(),
            ImportCommand.Create(),
            ExportCommand.Create(),
            CleanCommand.Create(),
        };
        ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        InvocationConfiguration configuration = new() { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false };
        int exit = await parsed.InvokeAsync(configuration).ConfigureAwait(false);
        return parsed.Errors.Count > 0 ? ExitCodes.Usage : exit;
    }

    /// <summary>Runs the body of a verb: cancellation, and one diagnostic for whatever goes wrong.</summary>
    public static async Task<int> GuardAsync(CompilerLog log, bool exitWithStandardInput, Func<CancellationToken, Task> body)
    {
        using Cancellation cancellation = new();
        if (exitWithStandardInput)
        {
            cancellation.WatchStandardInput();
        }

        try
        {
            await body(cancellation.Token).ConfigureAwait(false);
            return log.HasErrors ? ExitCodes.Failed : ExitCodes.Ok;
        }
        catch (OperationCanceledException) when (cancellation.Token.IsCancellationRequested)
        {
            log.Say("Cancelled. What was finished is in the store; the next compile goes on from there.");
            return ExitCodes.Cancelled;
        }
        catch (Exception exception)
        {
            log.Report(Describe(exception));
            return ExitCodes.Failed;
        }
    }

    /// <summary>The diagnostic for an exception that ended a verb.</summary>
    internal static CompilerDiagnostic Describe(Exception exception) => exception switch
    {
        AggregateException { InnerExceptions.Count: > 0 } several => Describe(several.InnerExceptions[0]),
        CompilerException known => known.ToDiagnostic(),
        ModelFormatException format => new(DiagnosticLevel.Error, format.Code, format.Message, format.Path),
        TrainingException data => new(DiagnosticLevel.Error, data.Code, data.Message, data.Path, data.Line, data.Line > 0 ? 1 : 0),
        ModelSdkException known => new(DiagnosticLevel.Error, known.Code, known.Message),
        IOException or UnauthorizedAccessException => new(DiagnosticLevel.Error, DiagnosticCodes.StoreNotAccessible, exception.Message),
        OutOfMemoryException => new(DiagnosticLevel.Error, DiagnosticCodes.CompilerDefect, "There is not enough memory for this model. `modelc plan` shows what each stage needs."),
        _ => new(DiagnosticLevel.Error, DiagnosticCodes.CompilerDefect, $"Internal error, please report it: {exception}"),
    };
}
