using System.CommandLine;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc clean MANIFEST</c>: removes from the store what a compile of this manifest would use.</summary>
internal static class CleanCommand
{
    public static Command Create()
    {
        Argument<string> manifest = Options.Manifest();
        Option<string?> store = Options.Store();
        Option<LogFormat> logFormat = new("--log") { HelpName = "text|json", Description = "Text for people on standard error, or JSON lines for tools on standard output." };
        Option<string?> json = Options.Json();
        Command command = new("clean", "Remove the store entries and checkpoints of a manifest as it is now.") { manifest, store, logFormat, json };
        command.SetAction(parsed =>
        {
            LogFormat format = parsed.GetValue(logFormat);
            CompilerLog log = new(format == LogFormat.Json ? Console.Out : Console.Error, format);
            return CommandLine.GuardAsync(log, exitWithStandardInput: false, async cancellationToken =>
            {
                CompileInputs? inputs = CompileInputs.Read(parsed.GetValue(manifest)!, log, cancellationToken);
                if (inputs is null)
                {
                    return;
                }

                Store.ArtifactStore opened = Options.OpenStore(parsed.GetValue(store));
                JsonArray removed = [];
                foreach (PlannedStage stage in CompilePlan.Create(inputs).Stages)
                {
                    if (await opened.RemoveAsync(stage.Key, cancellationToken).ConfigureAwait(false))
                    {
                        removed.Add(stage.Key.ToString());
                    }
                }

                log.Say($"{removed.Count} entries removed from {opened.Root}.");
                JsonOutput.Write(parsed.GetValue(json), new JsonObject { ["removed"] = removed });
            });
        });
        return command;
    }
}
