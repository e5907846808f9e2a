using ModelSdk.Sdk.Tests.Building;
using ModelSdk.Tasks;

namespace ModelSdk.Sdk.Tests;

public class CompilerProcessTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("", "\"\"")]
    [InlineData("with space", "\"with space\"")]
    [InlineData("quo\"te", "\"quo\\\"te\"")]
    [InlineData(@"C:\folder name\", "\"C:\\folder name\\\\\"")]
    [InlineData("a\\\\\"b", "\"a\\\\\\\\\\\"b\"")]
    public void Arguments_are_quoted(string argument, string quoted) => Assert.Equal(quoted, CompilerProcess.Quote(argument));

    [Fact]
    public void Odd_arguments_arrive_as_they_were_given()
    {
        using var folder = new TestFolder("a b#c,d%20[e]ü'$(f)");
        string manifest = folder.Write("tutor.model.json", """{"name":"Tutor"}""");
        var lines = new List<string>();

        int exitCode = new CompilerProcess().Run("dotnet", [Repository.FakeCompiler, "compile", manifest, "--out", folder.Path, "--through", "resolve"], new Dictionary<string, string>(), lines.Add, lines.Add);

        Assert.Equal(0, exitCode);
        Assert.Equal(manifest, CompilerEvent.Parse(lines[0])!["file"]);
    }

    [Fact]
    public void Environment_variables_reach_the_child()
    {
        using var folder = new TestFolder("env");
        string manifest = folder.Write("tutor.model.json", """{"name":"Tutor"}"""), log = System.IO.Path.Combine(folder.Path, "log.txt");

        new CompilerProcess().Run("dotnet", [Repository.FakeCompiler, "compile", manifest, "--through", "resolve"], new Dictionary<string, string> { ["FAKE_MODELC_LOG"] = log }, _ => { }, _ => { });

        Assert.Equal("compile tutor.model.json resolve", File.ReadAllText(log).Trim());
    }
}
