using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Reports;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc compile MANIFEST --out DIR</c></summary>
internal static class CompileCommand
{
    public static Command Create()
    {
        Argument<string> manifest = Options.Manifest();
        Option<string?> output = new("--out") { HelpName = "DIR", Description = "Folder to make or replace with the bundle. Default: the bundle stays in the store." };
        Option<string?> store = Options.Store();
        Option<string> through = new("--through") { HelpName = "STAGE", Description = "Stop after this stage; the next compile goes on from there.", DefaultValueFactory = _ => StageNames.Bundle };
        through.AcceptOnlyFromAmong([.. StageNames.All]);
        Option<LogFormat> logFormat = new("--log") { HelpName = "text|json", Description = "Text for people on standard error, or JSON lines for tools on standard output." };
        Option<bool> writeLock = new("--write-lock") { Description = "Write the lock file beside the manifest." };
        Option<bool> locked = new("--locked") { Description = "Fail when the lock file is missing or was made from other inputs." };
        Option<DateTimeOffset?> since = new("--since")
        {
            HelpName = "TIME",
            Description = "For builds that run one stage a process: report what was made at this time or later as made, not as taken from the store (ISO 8601).",
            CustomParser = result =>
            {
                if (DateTimeOffset.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time))
                {
                    return time;
                }

                result.AddError($"'{result.Tokens[0].Value}' is no time in ISO 8601.");
                return null;
            },
        };
        Option<bool> offline = new("--offline") { Description = "Use no network. modelc uses none today: a base is a folder." };
        Option<bool> exitWithStdin = new("--exit-with-stdin") { Description = "Cancel, leaving a checkpoint, when standard input ends." };
        Option<string?> json = Options.Json();
        Command command = new("compile", "Compile a model: every stage is read from the store, or made and put there.")
        {
            manifest, output, store, through, logFormat, writeLock, locked, since, offline, exitWithStdin, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(json) == "-" && result.GetValue(logFormat) == LogFormat.Json)
            {
                result.AddError("--json - and --log json both write to standard output; give --json a file.");
            }

            if (result.GetValue(writeLock) && result.GetValue(locked))
            {
                result.AddError("--write-lock and --locked exclude each other.");
            }
        });
        command.SetAction(async parsed =>
        {
            LogFormat format = parsed.GetValue(logFormat);
            CompilerLog log = new(format == LogFormat.Json ? Console.Out : Console.Error, format);
            CompileResult? result = null;
            int exit = await CommandLine.GuardAsync(log, parsed.GetValue(exitWithStdin), async cancellationToken =>
            {
                CompileRequest request = new(parsed.GetValue(manifest)!, Options.OpenStore(parsed.GetValue(store)))
                {
                    Output = parsed.GetValue(output),
                    Through = parsed.GetValue(through)!,
                    WriteLock = parsed.GetValue(writeLock),
                    Locked = parsed.GetValue(locked),
                    Since = parsed.GetValue(since),
                };
                result = await Compilation.RunAsync(request, log, cancellationToken).ConfigureAwait(false);
            }).ConfigureAwait(false);
            JsonOutput.Write(parsed.GetValue(json), ToJson(exit, result, log));
            return exit;
        });
        return command;
    }

    private static JsonObject ToJson(int exit, CompileResult? result, CompilerLog log) => new()
    {
        ["succeeded"] = exit == ExitCodes.Ok,
        ["inputs"] = result?.InputsDigest,
        ["bundle"] = result?.BundleFolder,
        ["digest"] = result?.BundleDigest,
        ["stages"] = result is null ? new JsonArray() : ReportJson.Stages(result.Stages),
        ["gates"] = ReportJson.Gates(result?.Gates ?? []),
        ["diagnostics"] = new JsonArray([.. log.Diagnostics.Select(d => (JsonNode)new JsonObject
        {
            ["severity"] = CompilerLog.LevelName(d.Level),
            ["code"] = d.Code,
            ["message"] = d.Message,
            ["file"] = d.File,
            ["line"] = d.Line,
            ["column"] = d.Column,
        })]),
        ["report"] = result?.Report?.DeepClone(),
    };
}
