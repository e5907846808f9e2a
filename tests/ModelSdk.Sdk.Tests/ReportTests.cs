using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.Build.Logging.StructuredLogger;
using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

public class ReportTests
{
    [Fact]
    public async System.Threading.Tasks.Task A_compile_ends_with_its_figures_and_its_page_which_every_binary_log_holds()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","headline":"arithmetic 97.8% right with 84 tokens (base 10.0%), 4 of 4 gates passed"}""");
        string page = project["obj/models/tutor.model/report.html"];

        BuildResult built = (await project.Build()).Succeeded();
        Assert.Contains($"tutor: arithmetic 97.8% right with 84 tokens (base 10.0%), 4 of 4 gates passed; report: {page}", built.Output);
        Assert.Contains(EmbeddedFiles(built), file => file.EndsWith("tutor.model/report.html", StringComparison.Ordinal));

        BuildResult again = (await project.Build()).Succeeded();
        Assert.Empty(again.Starts);
        Assert.Contains(EmbeddedFiles(again), file => file.EndsWith("tutor.model/report.html", StringComparison.Ordinal));
    }

    [Fact]
    public async System.Threading.Tasks.Task Every_phase_of_a_build_knows_when_the_build_began()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        DateTimeOffset before = DateTimeOffset.UtcNow;

        (await project.Build()).Succeeded();

        string[] times = [.. project.Files("obj/Debug/net10.0/models").Where(file => file.EndsWith(".rsp", StringComparison.Ordinal)).Select(file => After("--since", File.ReadAllLines(project["obj/Debug/net10.0/models/" + file])))];
        Assert.True(times.Length > 1);
        DateTimeOffset began = DateTimeOffset.Parse(Assert.Single(times.Distinct()), CultureInfo.InvariantCulture);
        Assert.InRange(began, before, DateTimeOffset.UtcNow);

        static string After(string option, string[] arguments) => arguments[Array.IndexOf(arguments, option) + 1];
    }

    [Fact]
    public async System.Threading.Tasks.Task Visual_Studio_learns_what_a_compile_reads_writes_and_copies()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","data":["train.jsonl"]}""");
        project.Write("train.jsonl", "examples");
        project.Project("""
            <ItemGroup><ReasoningModel Include="*.model.json" /></ItemGroup>
            <!-- As in the targets that come with Visual Studio. -->
            <Target Name="CollectUpToDateCheckInputDesignTime" Returns="@(UpToDateCheckInput)" />
            <Target Name="CollectUpToDateCheckOutputDesignTime" Returns="@(UpToDateCheckOutput)" />
            <Target Name="CollectUpToDateCheckBuiltDesignTime" Returns="@(UpToDateCheckBuilt)" />
            """);
        (await project.Build()).Succeeded();

        BuildResult asked = (await project.Build(
            "-t:CollectUpToDateCheckInputDesignTime;CollectUpToDateCheckOutputDesignTime;CollectUpToDateCheckBuiltDesignTime",
            "-p:DesignTimeBuild=true",
            "-getTargetResult:CollectUpToDateCheckInputDesignTime",
            "-getTargetResult:CollectUpToDateCheckOutputDesignTime",
            "-getTargetResult:CollectUpToDateCheckBuiltDesignTime")).Succeeded();

        Assert.Empty(asked.Starts);
        using JsonDocument answer = JsonDocument.Parse(asked.Output);
        JsonElement Items(string target) => answer.RootElement.GetProperty("TargetResults").GetProperty(target).GetProperty("Items");
        static string Text(JsonElement item, string name) => item.TryGetProperty(name, out JsonElement value) ? value.GetString()!.Replace('\\', '/') : "";
        string[] inputs = [.. Items("CollectUpToDateCheckInputDesignTime").EnumerateArray().Where(item => Text(item, "Set") == "ReasoningModel.tutor.model").Select(item => Text(item, "FullPath")).Order(StringComparer.Ordinal)];
        Assert.Equal([project["train.jsonl"], project["tutor.model.json"]], inputs);
        JsonElement output = Assert.Single(Items("CollectUpToDateCheckOutputDesignTime").EnumerateArray(), item => Text(item, "Set") == "ReasoningModel.tutor.model");
        Assert.Equal(project["obj/Debug/net10.0/models/tutor.model.stamp"], Text(output, "FullPath"));
        Assert.True(File.Exists(Text(output, "FullPath")));
        Assert.Equal(
            [("adapters/a/adapter.bin", true), ("model.json", true), ("weights.bin", true)],
            Items("CollectUpToDateCheckBuiltDesignTime").EnumerateArray()
                .Where(item => Text(item, "Original").Contains("/obj/models/", StringComparison.Ordinal))
                .Select(item => (Text(item, "Identity").Split("models/tutor/")[1], File.Exists(Text(item, "FullPath")) && File.Exists(Text(item, "Original")))));
    }

    private static string[] EmbeddedFiles(BuildResult built)
    {
        byte[] archive = BinaryLog.ReadBuild(built.Binlog).SourceFilesArchive;
        using var files = new ZipArchive(new MemoryStream(archive));
        return [.. files.Entries.Select(entry => entry.FullName.Replace('\\', '/'))];
    }
}
