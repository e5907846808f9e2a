using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Synthetic;

namespace ModelSdk.Compiler.Commands;

/// <summary><c>modelc synth --shape NAME --out DIR</c>: a base of random weights in Hugging Face layout, to measure speed and memory with.</summary>
internal static class SynthCommand
{
    public static Command Create()
    {
        string[] shapes = [.. SyntheticShape.All.Select(s => s.Name)];
        Option<string> shape = new("--shape") { HelpName = string.Join('|', shapes), Description = "Whose config.json to take.", Required = true };
        shape.AcceptOnlyFromAmong(shapes);
        Option<string> output = new("--out") { HelpName = "DIR", Description = "Folder to make.", Required = true };
        Option<int> seed = new("--seed") { HelpName = "N", Description = "Seed of the weights. Default: 1.", DefaultValueFactory = _ => 1 };
        Option<string?> json = Options.Json();
        Command command = new("synth", "Write a base of random weights in the shape of a real one, in Hugging Face layout.") { shape, output, seed, json };
        command.SetAction(parsed => CommandLine.GuardAsync(Options.TextLog(), exitWithStandardInput: false, cancellationToken =>
        {
            SyntheticShape chosen = SyntheticShape.All.Single(s => s.Name == parsed.GetValue(shape));
            JsonObject result = Run(chosen, parsed.GetValue(seed), Path.GetFullPath(parsed.GetValue(output)!), cancellationToken);
            string? target = parsed.GetValue(json);
            if (target != "-")
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{chosen.Name}, {result["parameters"]!.GetValue<long>() / 1e6:F1} million weights: {result["folder"]} ({result["bytes"]!.GetValue<long>() / 1e6:F1} MB, {result["seconds"]} s)"));
            }

            JsonOutput.Write(target, result);
            return Task.CompletedTask;
        }));
        return command;
    }

    private static JsonObject Run(SyntheticShape shape, int seed, string folder, CancellationToken cancellationToken)
    {
        long watch = Stopwatch.GetTimestamp();
        try
        {
            Prepare(shape, folder);
            CompilerLog log = Options.TextLog();
            SyntheticCheckpoint.Write(
                shape,
                seed,
                folder,
                new DirectProgress<double>(share => log.Progress("synth", null, "writing random weights", share)),
                cancellationToken);
        }
        catch (Exception exception) when (StoreErrors.IsFileSystemError(exception))
        {
            throw StoreErrors.Output(exception, folder);
        }

        FileInfo[] files = [.. new DirectoryInfo(folder).GetFiles().OrderBy(f => f.Name, StringComparer.Ordinal)];
        return new JsonObject
        {
            ["shape"] = shape.Name,
            ["seed"] = seed,
            ["folder"] = folder,
            ["parameters"] = SyntheticCheckpoint.WeightBytes(shape) / sizeof(ushort),
            ["bytes"] = files.Sum(f => f.Length),
            ["seconds"] = Math.Round(Stopwatch.GetElapsedTime(watch).TotalSeconds, 1),
            ["files"] = new JsonArray([.. files.Select(f => (JsonNode)new JsonObject { ["name"] = f.Name, ["bytes"] = f.Length })]),
        };
    }

    // What would fail after minutes fails at once.
    private static void Prepare(SyntheticShape shape, string folder)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
        {
            throw new CompilerException(DiagnosticCodes.SyntheticFolderTaken, $"{folder} exists and is not empty. Give --out a folder that does not exist yet, or delete this one.");
        }

        if (Directory.Exists(folder))
        {
            Directory.Delete(folder);
        }

        string parent = Path.GetDirectoryName(folder) ?? folder;
        Directory.CreateDirectory(parent);
        long needed = SyntheticCheckpoint.WeightBytes(shape);
        long free = new DriveInfo(parent).AvailableFreeSpace;
        if (free < needed)
        {
            throw new CompilerException(
                DiagnosticCodes.DiskFull,
                string.Create(CultureInfo.InvariantCulture, $"The weights of {shape.Name} take {needed / 1e9:F1} GB, but the volume of {folder} has {free / 1e9:F1} GB left. Free some space, or give --out a folder on another volume."));
        }
    }
}
