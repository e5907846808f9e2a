using Microsoft.Build.Logging.StructuredLogger;
using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

public class ErrorTests
{
    [Fact]
    public async System.Threading.Tasks.Task An_error_of_the_compiler_is_an_error_of_the_build_with_its_position()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","fail":"sft"}""");

        BuildResult failed = (await project.Build()).Failed();

        Error error = Assert.Single(failed.Errors);
        Assert.Equal(("MDL3001", project["tutor.model.json"], 4, 5, 4, 9, "No examples"), (error.Code, error.File, error.LineNumber, error.ColumnNumber, error.EndLineNumber, error.EndColumnNumber, error.Text));
        Warning warning = Assert.Single(failed.Warnings);
        Assert.Equal(("MDL3002", 2, 3), (warning.Code, warning.LineNumber, warning.ColumnNumber));
        Assert.Equal("compile tutor.model.json sft", failed.Starts[^1]);
        Assert.Empty(project.Beside());

        // Nothing is taken for done: the next build starts from the first phase.
        project.Write("tutor.model.json", "{\n  \"name\": oops\n}");
        BuildResult broken = (await project.Build()).Failed();
        Error syntax = Assert.Single(broken.Errors);
        Assert.Equal(("MDL1001", 2), (syntax.Code, syntax.LineNumber));
        Assert.Equal("The text is not JSON: \"quoted\", {braces} and ünïcode; really.", syntax.Text);

        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        (await project.Build()).Succeeded();
        Assert.NotEmpty(project.Beside());
    }

    [Fact]
    public async System.Threading.Tasks.Task A_compiler_that_crashes_or_does_not_start_is_one_error_that_says_so()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","crash":"export"}""");

        Error crashed = Assert.Single((await project.Build()).Failed().Errors);
        Assert.Equal("MDL5301", crashed.Code);
        Assert.Contains("exit code 134 in 'export'", crashed.Text);
        Assert.Contains("Unhandled exception: the disk has gone", crashed.Text);

        Error missing = Assert.Single((await project.Build("-p:ModelSdkCompilerPath=/nowhere/modelc.dll")).Failed().Errors);
        Assert.Equal("MDL5302", missing.Code);
        Assert.Contains("/nowhere/modelc.dll", missing.Text);
    }

    [Fact]
    public async System.Threading.Tasks.Task Errors_in_the_code_come_before_any_compile_of_a_model()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        project.Write("Program.cs", "return nothing;");

        BuildResult failed = (await project.Build()).Failed();

        Assert.Equal("CS0103", Assert.Single(failed.Errors).Code);
        Assert.Empty(failed.Starts);
    }

    [Fact]
    public async System.Threading.Tasks.Task An_old_SDK_a_foreign_system_and_equal_file_names_are_errors()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        project.Write("sub/tutor.model.json", """{"name":"Tutor2"}""");
        project.Project("""<ItemGroup><ReasoningModel Include="**/*.model.json" /></ItemGroup>""");

        Assert.Equal("MDL5304", Assert.Single((await project.Build()).Failed().Errors).Code);
        Error old = Assert.Single((await project.Build("-p:NETCoreSdkVersion=9.0.305")).Failed().Errors, error => error.Code.StartsWith("MDL", StringComparison.Ordinal));
        Assert.Equal("MDL5305", old.Code);
        Assert.Contains("9.0.305", old.Text);
        Assert.Equal("MDL5306", Assert.Single((await project.Build("-p:_ModelSdkHostRid=linux-s390x")).Failed().Errors).Code);
    }
}
