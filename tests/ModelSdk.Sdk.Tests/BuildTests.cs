using ModelSdk.Sdk.Tests.Building;

namespace ModelSdk.Sdk.Tests;

public class BuildTests
{
    private static readonly string[] Phases =
    [
        "ReasoningModelResolve", "ReasoningModelQuantize", "ReasoningModelTrain", "ReasoningModelBudget", "ReasoningModelSwitcher",
        "ReasoningModelVerifier", "ReasoningModelExport", "ReasoningModelEvaluate", "ReasoningModelBundle",
    ];

    private static readonly string[] Stages = ["resolve", "quantize", "sft", "budget", "switcher", "verifier", "export", "evaluate", "bundle"];

    private static string[] StartsOf(params string[] manifests) =>
        [.. Stages.SelectMany(stage => manifests.Select(manifest => $"compile {manifest}.model.json {stage}"))];

    [Fact]
    public async Task Each_model_is_compiled_in_phases_after_the_code_and_lies_beside_the_app()
    {
        using var project = new TestProject();
        project.Write("coach.model.json", """{"name":"Coach"}""");
        project.Write("tutor.model.json", """{"name":"Tutor","data":["train.jsonl"]}""");
        project.Write("train.jsonl", "examples");

        BuildResult built = (await project.Build()).Succeeded();

        Assert.Equal(StartsOf("coach", "tutor"), built.Starts);
        string[] order = [.. built.Targets.Where(target => target is "CoreCompile" or "_CopyFilesMarkedCopyLocal" or "_CopyDifferingSourceItemsToOutputDirectory" || Phases.Contains(target)).Distinct()];
        Assert.Equal(["CoreCompile", .. Phases, "_CopyDifferingSourceItemsToOutputDirectory"], order);
        Assert.Equal(
            ["coach/adapters/a/adapter.bin", "coach/model.json", "coach/weights.bin", "tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"],
            project.Beside());
        Assert.Equal("examples", File.ReadAllText(project["bin/Debug/net10.0/models/tutor/weights.bin"]));
        Assert.Contains("tutor: sft ...", built.Output);
        Assert.Contains("tutor: sft done in 0.3 s", built.Output);
    }

    [Fact]
    public async Task A_build_without_a_change_starts_no_compiler_and_is_up_to_date()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","data":["train.jsonl", "absent.jsonl"]}""");
        project.Write("train.jsonl", "examples");
        (await project.Build()).Succeeded();

        BuildResult again = (await project.Build()).Succeeded();
        Assert.Empty(again.Starts);
        Assert.DoesNotContain(again.Targets, target => Phases.Contains(target) || target.Contains("CompileReasoningModel"));

        (await project.Build("-question")).Succeeded();
        Assert.Equal(["tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"], project.Beside());
    }

    [Fact]
    public async Task A_change_of_manifest_input_option_or_bundle_compiles_again()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor","data":["train.jsonl"],"extra":"yes"}""");
        project.Write("train.jsonl", "new");
        (await project.Build()).Succeeded();
        Assert.Contains("tutor/extra.bin", project.Beside());

        // What the new bundle lacks goes away, beside the app too; another name is another folder.
        project.Write("tutor.model.json", """{"name":"Teacher","data":["train.jsonl"]}""");
        Assert.NotEmpty((await project.Build()).Succeeded().Starts);
        Assert.Equal(["teacher/adapters/a/adapter.bin", "teacher/model.json", "teacher/weights.bin"], project.Beside());

        // An older file in the place of an input, of the same size.
        File.WriteAllText(project["train.jsonl"], "old");
        File.SetLastWriteTimeUtc(project["train.jsonl"], DateTime.UtcNow.AddDays(-3));
        Assert.NotEmpty((await project.Build()).Succeeded().Starts);
        Assert.Equal("old", File.ReadAllText(project["bin/Debug/net10.0/models/teacher/weights.bin"]));

        File.Delete(project["obj/models/tutor.model/weights.bin"]);
        Assert.NotEmpty((await project.Build()).Succeeded().Starts);
        Assert.True(File.Exists(project["obj/models/tutor.model/weights.bin"]));

        string[] withStore = (await project.Build("-p:ModelSdkStore=/tmp/other store", "-p:ModelSdkLockedMode=true", "-p:ModelSdkOffline=true")).Succeeded().Starts;
        Assert.Equal("compile tutor.model.json resolve --offline --locked /tmp/other store", withStore[0]);
    }

    [Fact]
    public async Task Removing_the_item_removes_what_it_left()
    {
        using var project = new TestProject();
        project.Write("coach.model.json", """{"name":"Coach"}""");
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        (await project.Build()).Succeeded();

        File.Delete(project["coach.model.json"]);
        Assert.Empty((await project.Build()).Succeeded().Starts);
        Assert.Equal(["tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"], project.Beside());
        Assert.DoesNotContain(project.Files("obj"), file => file.Contains("coach"));

        project.Project("");
        (await project.Build()).Succeeded();
        Assert.False(Directory.Exists(project["bin/Debug/net10.0/models"]));
        Assert.DoesNotContain(project.Files("obj"), file => file.Contains("tutor"));
        Assert.False(Directory.Exists(project["obj/models/tutor.model"]));
    }

    [Fact]
    public async Task Clean_removes_outputs_and_ModelClean_the_entries_of_the_store_as_well()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        (await project.Build()).Succeeded();

        BuildResult cleaned = (await project.Build("-t:Clean")).Succeeded();
        Assert.Empty(cleaned.Starts);
        Assert.Empty(project.Beside());
        Assert.DoesNotContain(project.Files("obj"), file => file.Contains("tutor"));

        Assert.Equal(StartsOf("tutor"), (await project.Build("-t:Rebuild")).Succeeded().Starts);
        BuildResult modelCleaned = (await project.Build("-t:ModelClean")).Succeeded();
        Assert.Equal(["clean tutor.model.json"], modelCleaned.Starts);
        Assert.Empty(project.Beside());
    }

    [Fact]
    public async Task ModelSdkSkipCompile_starts_no_compiler_and_keeps_what_is_compiled()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        Assert.Empty((await project.Build("-p:ModelSdkSkipCompile=true")).Succeeded().Starts);
        Assert.Empty(project.Beside());

        (await project.Build()).Succeeded();
        project.Write("tutor.model.json", """{"name":"Tutor","extra":"yes"}""");
        Assert.Empty((await project.Build("-p:ModelSdkSkipCompile=true")).Succeeded().Starts);
        Assert.Equal(["tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"], project.Beside());
    }

    [Fact]
    public async Task A_design_time_build_compiles_no_model_and_shows_the_manifest_and_its_lock_to_the_generator()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");
        project.Write("tutor.model.lock.json", "{}");
        project.Write("Directory.Solution.targets", "<Project />");
        (await project.Build("-t:Restore")).Succeeded();

        BuildResult built = (await project.Build("-t:Compile", "-p:DesignTimeBuild=true", "-p:BuildingProject=false", "-p:SkipCompilerExecution=true", "-p:ProvideCommandLineArgs=true", "-getItem:AdditionalFiles")).Succeeded();

        Assert.Empty(built.Starts);
        Assert.Contains("\"Identity\": \"tutor.model.json\"", built.Output);
        Assert.Contains("\"Identity\": \"tutor.model.lock.json\"", built.Output);
        Assert.Contains("\"ModelSdkKind\": \"ReasoningModel\"", built.Output);
    }

    [Fact]
    public async Task Publish_takes_the_bundle_along()
    {
        using var project = new TestProject();
        project.Write("tutor.model.json", """{"name":"Tutor"}""");

        (await project.Build("publish", "-o", "out")).Succeeded();

        Assert.Equal(["tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"], project.Beside("out"));
    }

    [Fact]
    public async Task Target_frameworks_share_one_bundle_and_a_referencing_app_gets_a_copy()
    {
        using var project = new TestProject();
        project.Write("lib/lib.csproj", """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><OutputType>Library</OutputType><TargetFramework /><TargetFrameworks>net10.0;netstandard2.0</TargetFrameworks></PropertyGroup>
              <ItemGroup><ReasoningModel Include="tutor.model.json" /></ItemGroup>
            </Project>
            """);
        project.Write("lib/tutor.model.json", """{"name":"Tutor"}""");
        project.Write("lib/Empty.cs", "");
        project.Project("""<PropertyGroup><EnableDefaultCompileItems>false</EnableDefaultCompileItems></PropertyGroup><ItemGroup><Compile Include="Program.cs" /><ProjectReference Include="lib/lib.csproj" /></ItemGroup>""");
        string[] bundle = ["tutor/adapters/a/adapter.bin", "tutor/model.json", "tutor/weights.bin"];

        Assert.Equal(Stages.Length, (await project.Build()).Succeeded().Starts.Length);
        Assert.Equal(bundle, project.Beside());

        // Both frameworks at once, the way of a solution: each asks the compiler, both copy the same bundle.
        BuildResult both = (await project.Build("lib/lib.csproj", "-m:2", "-t:Rebuild")).Succeeded();
        Assert.Equal(2 * Stages.Length, both.Starts.Length);
        Assert.Equal(bundle, project.Beside("lib/bin/Debug/net10.0"));
        Assert.Equal(bundle, project.Beside("lib/bin/Debug/netstandard2.0"));
        Assert.Equal(["tutor.model/adapters/a/adapter.bin", "tutor.model/model.json", "tutor.model/weights.bin"], project.Files("lib/obj/models"));
        Assert.Empty((await project.Build("lib/lib.csproj", "-m:2")).Succeeded().Starts);
    }

    [Fact]
    public async Task Odd_paths_work()
    {
        using var project = new TestProject("a b#c,d 50% [f]@ü'(g)$h");
        project.Write("mo del%20s/tu,tor ü#1.model.json", """{"name":"Tutor","data":["tr ain%20[1],ü.jsonl"]}""");
        project.Write("mo del%20s/tr ain%20[1],ü.jsonl", "examples");
        project.Project("""<ItemGroup><ReasoningModel Include="mo del*/*.model.json" /></ItemGroup>""");

        Assert.Equal(Stages.Length, (await project.Build()).Succeeded().Starts.Length);
        Assert.Equal("examples", File.ReadAllText(project["bin/Debug/net10.0/models/tutor/weights.bin"]));
        Assert.Empty((await project.Build()).Succeeded().Starts);

        project.Write("mo del%20s/tr ain%20[1],ü.jsonl", "other");
        Assert.NotEmpty((await project.Build()).Succeeded().Starts);
    }

    [Fact]
    public async Task Data_behind_a_symbolic_link_is_an_input()
    {
        using var project = new TestProject();
        project.Write("elsewhere/train.jsonl", "examples");
        Directory.CreateSymbolicLink(project["data"], project["elsewhere"]);
        project.Write("tutor.model.json", """{"name":"Tutor","data":["data/train.jsonl"]}""");

        Assert.Equal(Stages.Length, (await project.Build()).Succeeded().Starts.Length);
        Assert.Empty((await project.Build()).Succeeded().Starts);

        project.Write("elsewhere/train.jsonl", "other");
        Assert.NotEmpty((await project.Build()).Succeeded().Starts);
        Assert.Equal("other", File.ReadAllText(project["bin/Debug/net10.0/models/tutor/weights.bin"]));
    }
}
