// Obeys the command line and the event lines of `modelc compile`, takes milliseconds, and does what the manifest asks:
//   name, data[]            as in a real manifest: the bundle's name, files that are read
//   "fail": "<stage>"       reports an error with a position in that stage
//   "crash": "<stage>"      ends without a diagnostic
//   "wait": "<stage>"       waits in that stage until its input ends, then writes checkpoint.txt beside the manifest
//   "headline": "<text>"    writes report.html too, and says that text about the bundle
//   "linger": true          ... and then never ends
// Each start adds a line to the file named by FAKE_MODELC_LOG.
using System.Text;
using System.Text.Json;

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
string[] arguments = args is [['@', .. var responseFile]] ? File.ReadAllLines(responseFile) : args;
string manifest = arguments[1];
string Option(string name) => Array.IndexOf(arguments, name) is >= 0 and var i ? arguments[i + 1] : "";
string output = Option("--out"), through = arguments.Contains("--through") ? Option("--through") : "";

if (Environment.GetEnvironmentVariable("FAKE_MODELC_LOG") is { Length: > 0 } log)
{
    string line = string.Join(' ', arguments[0], Path.GetFileName(manifest), through, string.Join(' ', arguments.Where(a => a is "--offline" or "--locked")), Option("--store")).TrimEnd() + "\n";
    using var file = new FileStream(log, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
    file.Write(Encoding.UTF8.GetBytes(line));
}

if (arguments[0] == "clean") return 0;

Dictionary<string, JsonElement> content;
try
{
    content = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(File.ReadAllText(manifest))!;
}
catch (JsonException e)
{
    Emit(new
    {
        kind = "diagnostic",
        severity = "error",
        code = "MDL1001",
        message = "The text is not JSON: \"quoted\", {braces} and ünïcode; really.",
        file = manifest,
        line = e.LineNumber + 1,
        column = e.BytePositionInLine + 1,
        endLine = e.LineNumber + 1,
        endColumn = e.BytePositionInLine + 3,
        help = "docs/diagnostics.md#mdl1001",
    });
    return 1;
}

string folder = Path.GetDirectoryName(manifest)!;
string Text(string name) => content.TryGetValue(name, out var value) ? value.ToString() : "";
string[] data = content.TryGetValue("data", out var list) ? [.. list.EnumerateArray().Select(file => Path.GetFullPath(Path.Combine(folder, file.GetString()!)))] : [];
foreach (string file in (string[])[manifest, .. data])
{
    Emit(new { kind = "input", file, modified = File.Exists(file) ? File.GetLastWriteTimeUtc(file).Ticks : 0 });
}

foreach (string stage in (string[])["resolve", "quantize", "sft", "budget", "switcher", "verifier", "export", "evaluate", "bundle"])
{
    bool own = stage == through;
    if (own) Emit(new { kind = "stage", name = stage, state = "started" });
    if (own && Text("fail") == stage)
    {
        Emit(new { kind = "diagnostic", severity = "warning", code = "MDL3002", message = "Few examples", file = manifest, line = 2, column = 3 });
        Emit(new { kind = "diagnostic", severity = "error", code = "MDL3001", message = "No examples", file = manifest, line = 4, column = 5, endLine = 4, endColumn = 9, help = "docs/diagnostics.md#mdl3001" });
        return 1;
    }

    if (own && Text("crash") == stage)
    {
        Console.Error.WriteLine("Unhandled exception: the disk has gone");
        return 134;
    }

    if (own && Text("wait") == stage)
    {
        File.WriteAllText(Path.Combine(folder, "waiting.tmp"), Environment.ProcessId.ToString());
        File.Move(Path.Combine(folder, "waiting.tmp"), Path.Combine(folder, "waiting.txt")); // seen only with its content
        while (Console.In.Read() >= 0)
        {
        }

        File.WriteAllText(Path.Combine(folder, "checkpoint.txt"), "saved");
        if (Text("linger") != "") Thread.Sleep(Timeout.Infinite);
        return 130;
    }

    Emit(new { kind = "progress", stage, text = stage + " 1/1", fraction = 1.0 });
    Emit(new { kind = "stage", name = stage, state = "finished", cached = !own, seconds = 0.25, nested = new { a = new[] { 1, 2 } } });
    if (own) break;
}

if (through == "bundle")
{
    Directory.CreateDirectory(Path.Combine(output, "adapters", "a"));
    Write("weights.bin", string.Concat(data.Where(File.Exists).Select(File.ReadAllText)));
    Write("adapters/a/adapter.bin", "adapter");
    Write("model.json", Text("name"));
    if (Text("headline") != "") Write("report.html", "<!doctype html>");
    if (Text("extra") != "") Write("extra.bin", "extra");
    else File.Delete(Path.Combine(output, "extra.bin"));
    Emit(new { kind = "bundle", name = Text("name"), digest = "sha256:0", folder = output, headline = Text("headline") is { Length: > 0 } headline ? headline : null });
}

return 0;

void Write(string name, string text)
{
    string path = Path.Combine(output, name), temporary = Path.Combine(output, Guid.NewGuid().ToString("N"));
    if (File.Exists(path) && File.ReadAllText(path) == text) return;
    File.WriteAllText(temporary, text);
    File.Move(temporary, path, overwrite: true);
}

static void Emit(object value) => Console.Out.WriteLine(JsonSerializer.Serialize(value));
