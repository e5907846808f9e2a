using System.Text.Json;
using ModelSdk.Compiler.Logging;

namespace ModelSdk.Compiler.Tests.Logging;

public class CompilerLogTests
{
    [Fact]
    public void Text_diagnostics_have_the_form_that_msbuild_reads()
    {
        StringWriter text = new();
        new CompilerLog(text, LogFormat.Text).Report(new(DiagnosticLevel.Error, "MDL1005", "first\nsecond", "/a b/t.model.json", 3, 5, 3, 9));
        Assert.Equal("/a b/t.model.json(3,5,3,9): error MDL1005: first second", text.ToString().TrimEnd());
    }

    [Fact]
    public void A_diagnostic_without_a_file_names_the_tool()
    {
        StringWriter text = new();
        new CompilerLog(text, LogFormat.Text).Report(new(DiagnosticLevel.Warning, "MDL5001", "no store"));
        Assert.Equal("modelc: warning MDL5001: no store", text.ToString().TrimEnd());
    }

    [Fact]
    public void Json_lines_hold_one_object_each_with_the_agreed_names()
    {
        StringWriter text = new();
        CompilerLog log = new(text, LogFormat.Json);
        log.Input("/m", 12);
        log.Report(new(DiagnosticLevel.Error, "MDL1005", "text", "/f", 1, 2, 3, 4));
        log.StageStarted("sft", "arithmetic");
        log.Progress("sft", "arithmetic", "step 1 of 4", 0.25);
        log.StageFinished("sft", "arithmetic", cached: false, 1.5);
        log.BundleWritten("Tutor", "sha256:00", "/out", "97.8% right");
        log.Say("not in this form");
        string[] lines = text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Assert.Equal(["input", "diagnostic", "stage", "progress", "stage", "bundle"], lines.Select(l => Parse(l).GetProperty("kind").GetString()));
        JsonElement diagnostic = Parse(lines[1]);
        Assert.Equal("error", diagnostic.GetProperty("severity").GetString());
        Assert.Equal([1, 2, 3, 4], ((string[])["line", "column", "endLine", "endColumn"]).Select(n => diagnostic.GetProperty(n).GetInt32()));
        Assert.EndsWith("#mdl1005", diagnostic.GetProperty("help").GetString(), StringComparison.Ordinal);
        Assert.Equal("sft", Parse(lines[3]).GetProperty("stage").GetString());
        Assert.Equal("arithmetic", Parse(lines[3]).GetProperty("adapter").GetString());
        Assert.False(Parse(lines[4]).GetProperty("cached").GetBoolean());
    }

    [Fact]
    public void Progress_that_follows_quickly_is_dropped_but_not_the_end()
    {
        StringWriter text = new();
        CompilerLog log = new(text, LogFormat.Json);
        for (int step = 0; step <= 100; step++)
        {
            log.Progress("sft", null, "training", step / 100.0);
        }

        string[] lines = text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.InRange(lines.Length, 2, 20);
        Assert.Equal(1, Parse(lines[^1]).GetProperty("fraction").GetDouble());
    }

    private static JsonElement Parse(string line) => JsonDocument.Parse(line).RootElement;
}
