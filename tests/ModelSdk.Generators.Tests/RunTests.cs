using System.Reflection;

using Microsoft.CodeAnalysis;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

using ModelSdk.Generators.Tests.Testing;
using ModelSdk.Runtime;

namespace ModelSdk.Generators.Tests;

/// <summary>The generated code, compiled against the runtime and run, as far as no model is needed.</summary>
public class RunTests
{
    [Fact]
    public void Everything_that_the_readme_shows_compiles() =>
        Generate.From(
            Manifests.Tutor,
            code: """
                using System;
                using System.Threading;
                using System.Threading.Tasks;
                using Microsoft.Extensions.AI;
                using Microsoft.Extensions.DependencyInjection;
                namespace App;
                public static class Use
                {
                    public static async Task Ask(IServiceCollection services, CancellationToken cancellationToken)
                    {
                        await using var tutor = await TutorModel.LoadAsync();
                        TutorAnswer answer = await tutor.AnswerAsync("?", TutorModel.Budgets.Short, cancellationToken);
                        int value = answer.Value;
                        Console.WriteLine($"{value}: {answer.Usage.ReasoningTokens} of {answer.Usage.Budget} tokens, by {answer.Adapter}");
                        await foreach (var update in tutor.StreamAsync("?", TutorModel.Adapters.Arithmetic)) Console.Write(update.Text);
                        answer = await tutor.AnswerAsync("?");
                        answer = await tutor.AnswerAsync("?", TutorModel.Adapters.Base);
                        answer = await tutor.AnswerAsync("?", TutorModel.Adapters.Base, TutorModel.Budgets.Long, cancellationToken);
                        answer = await tutor.AnswerAsync(new TutorRequest("?") { Sampling = new() { Temperature = 0.7 }, Stop = ["\n"] }, cancellationToken);
                        IChatClient chat = tutor.AsChatClient();
                        services.AddTutorModel();
                    }
                }

                public sealed partial class TutorModel
                {
                    public Task<TutorAnswer> ExplainAsync(string question) => AnswerAsync("Explain: " + question);
                }
                """).Compiles();

    [Fact]
    public void Everything_that_the_manifests_page_shows_of_votes_compiles() =>
        Generate.From(
            [new TestFile("/app/solver.model.json", Manifests.Solver)],
            code: """
                using System;
                using System.Threading.Tasks;
                using ModelSdk.Runtime;
                namespace App;
                public static class Use
                {
                    public static async Task Ask(SolverModel solver)
                    {
                        SolverAnswer answer = await solver.AnswerAsync("?", SolverModel.Adapters.Auto, SolverModel.Budgets.Vote);
                        if (answer.Confidence is < 0.8) Console.WriteLine($"Not sure: {answer.Value}");
                        foreach (SolverVote vote in answer.Votes) Console.WriteLine($"{vote.Value}: {vote.Streams} streams, {vote.Weight:0.00}, {vote.Confidence:P0}");
                        double first = answer.Votes[0].Value;
                        if (answer.Routing is { } routing) Console.WriteLine($"{routing.Mode} at {routing.Score:0.00}");
                        answer = await solver.AnswerAsync(new SolverRequest("?") { Streams = 4, Voting = new VotingOptions { StopWhenDecided = 0.95, Concurrency = 2 }, SwitcherThreshold = 0.3 });
                    }
                }
                """).Compiles();

    [Fact]
    public void Without_a_switcher_there_is_nothing_to_route()
    {
        Generate generated = Generate.From(Manifests.Tutor, code: "class Use { object a = App.TutorModel.Adapters.Auto; object? b(App.TutorAnswer x) => x.Routing; object c = new App.TutorRequest(\"?\") { SwitcherThreshold = 0.5 }; }");

        Assert.Equal(["CS0117", "CS0117", "CS1061"], generated.CompilerDiagnostics.Select(d => d.Id).Order());
    }

    [Fact]
    public void The_switchers_choice_is_a_mode_and_can_be_the_default()
    {
        Assembly app = Generate.From(Manifests.Solver, "/app/solver.model.json").Compiles();

        object auto = Static(app, "App.SolverModel+Adapters", "Auto");
        Assert.Equal("auto", auto.ToString());
        Assert.Equal(auto, Activator.CreateInstance(app.GetType("App.SolverAdapter")!));
        Assert.Equal(["base", "steps", "sketch"], CastAll(Static(app, "App.SolverModel+Adapters", "All")).Select(a => a.ToString()));
    }

    [Fact]
    public void A_budget_with_streams_asks_for_them_and_a_request_can_ask_for_others()
    {
        Assembly app = Generate.From(Manifests.Solver, "/app/solver.model.json").Compiles();
        object budget = Static(app, "App.SolverModel+Budgets", "Vote");
        Assert.Equal((128, 8), (Get(budget, "Tokens"), Get(budget, "Streams")));
        Assert.Equal(1, Get(Static(app, "App.SolverModel+Budgets", "Short"), "Streams"));
        Assert.Equal(1, Get(Activator.CreateInstance(app.GetType("App.SolverBudget")!)!, "Streams"));
        Assert.NotEqual(budget, Static(app, "App.SolverModel+Budgets", "Short"));

        Type type = app.GetType("App.SolverRequest")!;
        object request = Activator.CreateInstance(type, "Why?")!;
        ReasoningRequest Build() => (ReasoningRequest)type.GetMethod("ToRequest", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(request, null)!;
        Assert.Equal((1, VotingOptions.Default, null, "auto"), (Build().Streams, Build().Voting, Build().SwitcherThreshold, Build().Mode));

        type.GetProperty("Budget")!.SetValue(request, budget);
        Assert.Equal((8, 128), (Build().Streams, Build().Budget));

        type.GetProperty("Streams")!.SetValue(request, 3);
        type.GetProperty("SwitcherThreshold")!.SetValue(request, 0.25);
        var voting = new VotingOptions { Weighted = false };
        type.GetProperty("Voting")!.SetValue(request, voting);
        Assert.Equal((3, voting, 0.25), (Build().Streams, Build().Voting, Build().SwitcherThreshold));
    }

    [Fact]
    public void An_answer_has_confidence_votes_and_routing()
    {
        Assembly app = Generate.From(Manifests.Solver, "/app/solver.model.json").Compiles();
        object answer = Activator.CreateInstance(
            app.GetType("App.SolverAnswer")!,
            new ReasoningResult("16", "think", "steps", new Usage(5, 5, 0, 7, 2, 128, false) { Streams = 3 }, FinishReason.Stop)
            {
                Confidence = 0.75,
                Votes = [new Vote("16", 2, 1.5, 0.75), new Vote("2.5", 1, 0.25, 0.125)],
                Routing = new Routing(0.9, 0.5, "steps"),
            })!;

        Assert.Equal(0.75, Get(answer, "Confidence"));
        Assert.Equal((16.0, 2, 1.5, 0.75), (Get(Vote(answer, 0), "Value"), Get(Vote(answer, 0), "Streams"), Get(Vote(answer, 0), "Weight"), Get(Vote(answer, 0), "Confidence")));
        Assert.Equal((2.5, 1, 0.25, 0.125), (Get(Vote(answer, 1), "Value"), Get(Vote(answer, 1), "Streams"), Get(Vote(answer, 1), "Weight"), Get(Vote(answer, 1), "Confidence")));
        Assert.Equal(2, CastAll(Get(answer, "Votes")).Count());
        Assert.Equal(new Routing(0.9, 0.5, "steps"), Get(answer, "Routing"));
        Assert.Equal(Static(app, "App.SolverModel+Adapters", "Steps"), Get(answer, "Adapter"));
    }

    [Theory]
    [InlineData("\"text\"", "Paris", "Paris")]
    [InlineData("\"integer\"", "16", 16)]
    [InlineData("\"number\"", "2.5", 2.5)]
    public void Votes_have_the_answers_type(string type, string text, object value)
    {
        Assembly app = Generate.From($$"""{ "base": "b", "answer": {{type}} }""").Compiles();
        object answer = Activator.CreateInstance(app.GetType("App.TutorAnswer")!, Voted(text))!;

        Assert.Equal(value, Get(Vote(answer, 0), "Value"));
    }

    [Fact]
    public void Votes_for_choices_are_enum_members()
    {
        Assembly app = Generate.From(Manifests.Judge).Compiles();

        Assert.Equal("No", Get(Vote(Activator.CreateInstance(app.GetType("App.ClaimJudgeAnswer")!, Voted("no"))!, 0), "Value").ToString());
    }

    [Fact]
    public void One_stream_without_a_verifier_has_no_votes_and_no_confidence()
    {
        object answer = Answer(Generate.From(Manifests.Tutor).Compiles(), "App.TutorAnswer", "16");

        Assert.Null(answer.GetType().GetProperty("Confidence")!.GetValue(answer));
        Assert.Empty(CastAll(Get(answer, "Votes")));
    }

    [Fact]
    public void Votes_of_another_model_throw_when_they_are_read_and_not_before()
    {
        object answer = Activator.CreateInstance(Generate.From(Manifests.Tutor).Compiles().GetType("App.TutorAnswer")!, Voted("Paris"))!;

        Assert.Equal("Paris", answer.ToString());
        Assert.IsType<AnswerFormatException>(Assert.Throws<TargetInvocationException>(() => Get(answer, "Votes")).InnerException);
    }

    [Fact]
    public void Budgets_and_adapters_carry_the_manifests_names_and_tokens()
    {
        Assembly app = Generate.From(Manifests.Tutor).Compiles();

        object budget = Static(app, "App.TutorModel+Budgets", "Long");
        Assert.Equal("long", Get(budget, "Name"));
        Assert.Equal(256, Get(budget, "Tokens"));
        object adapter = Static(app, "App.TutorModel+Adapters", "Arithmetic");
        Assert.Equal("arithmetic", adapter.ToString());
        Assert.Equal(["base", "arithmetic"], ((IEnumerable<object>)CastAll(Static(app, "App.TutorModel+Adapters", "All"))).Select(a => a.ToString()));
        Assert.NotEqual(Static(app, "App.TutorModel+Adapters", "Base"), adapter);
    }

    [Fact]
    public void The_default_of_an_adapter_is_the_default_mode()
    {
        Assembly app = Generate.From(Manifests.Judge).Compiles();

        object adapter = Activator.CreateInstance(app.GetType("App.ClaimJudgeAdapter")!)!;
        Assert.Equal("deep-dive", adapter.ToString());
        Assert.Equal(Static(app, "App.ClaimJudgeModel+Adapters", "DeepDive"), adapter);
        Assert.Equal(Static(app, "App.ClaimJudgeModel+Adapters", "DeepDive").GetHashCode(), adapter.GetHashCode());
    }

    [Fact]
    public void An_integer_answer_is_read()
    {
        object answer = Answer(Generate.From(Manifests.Tutor).Compiles(), "App.TutorAnswer", " 1,204. ");

        Assert.Equal(1204, Get(answer, "Value"));
        Assert.Equal("arithmetic", Get(answer, "Adapter").ToString());
        Assert.Equal(7, ((Usage)Get(answer, "Usage")).ReasoningTokens);
    }

    [Fact]
    public void An_answer_that_is_no_integer_throws_on_value_but_keeps_its_text()
    {
        object answer = Answer(Generate.From(Manifests.Tutor).Compiles(), "App.TutorAnswer", "Hello!");

        Assert.IsType<AnswerFormatException>(Assert.Throws<TargetInvocationException>(() => Get(answer, "Value")).InnerException);
        Assert.Equal("Hello!", answer.ToString());
        object?[] arguments = [null];
        Assert.False((bool)answer.GetType().GetMethod("TryGetValue")!.Invoke(answer, arguments)!);
    }

    [Fact]
    public void A_number_answer_is_read() =>
        Assert.Equal(2.5, Get(Answer(Generate.From("""{ "base": "b", "answer": "number" }""").Compiles(), "App.TutorAnswer", "2.5"), "Value"));

    [Fact]
    public void A_text_answer_is_trimmed() =>
        Assert.Equal("Hello!", Get(Answer(Generate.From(Manifests.Minimal).Compiles(), "App.TutorAnswer", " Hello! "), "Value"));

    [Fact]
    public void A_choice_answer_becomes_an_enum_member()
    {
        object answer = Answer(Generate.From(Manifests.Judge).Compiles(), "App.ClaimJudgeAnswer", "Can't \"tell\" <yet>.");

        Assert.Equal("CanTTellYet", Get(answer, "Value").ToString());
        object?[] arguments = [null];
        Assert.True((bool)answer.GetType().GetMethod("TryGetValue")!.Invoke(answer, arguments)!);
        Assert.Equal("CanTTellYet", arguments[0]!.ToString());
    }

    [Fact]
    public void A_request_says_all_that_the_runtime_needs()
    {
        Assembly app = Generate.From(Manifests.Tutor).Compiles();
        Type type = app.GetType("App.TutorRequest")!;
        object request = Activator.CreateInstance(type, "Why?")!;

        var plain = (ReasoningRequest)type.GetMethod("ToRequest", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(request, null)!;
        Assert.Equal("Why?", Assert.Single(plain.Turns).Content);
        Assert.Equal("user", plain.Turns[0].Role);
        Assert.Equal("arithmetic", plain.Mode);
        Assert.Null(plain.Budget);

        type.GetProperty("Budget")!.SetValue(request, Static(app, "App.TutorModel+Budgets", "Short"));
        type.GetProperty("Adapter")!.SetValue(request, Static(app, "App.TutorModel+Adapters", "Base"));
        var full = (ReasoningRequest)type.GetMethod("ToRequest", BindingFlags.Instance | BindingFlags.NonPublic)!.Invoke(request, null)!;
        Assert.Equal(96, full.Budget);
        Assert.Equal("base", full.Mode);
    }

    [Fact]
    public void Dependency_injection_registers_the_client_and_its_chat_client()
    {
        Assembly app = Generate.From(Manifests.Tutor).Compiles();
        var services = new ServiceCollection();

        app.GetType("App.TutorModelServiceCollectionExtensions")!.GetMethod("AddTutorModel")!.Invoke(null, [services, null]);

        Assert.Contains(services, s => s.ServiceType == app.GetType("App.TutorModel") && s.Lifetime == ServiceLifetime.Singleton);
        Assert.Contains(services, s => s.ServiceType == typeof(IChatClient));
    }

    [Fact]
    public async Task Loading_without_a_bundle_says_so()
    {
        Assembly app = Generate.From(Manifests.Tutor).Compiles();
        var options = new ReasoningModelOptions { BundleFolder = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N")) };

        var load = (Task)app.GetType("App.TutorModel")!.GetMethod("LoadAsync")!.Invoke(null, [options, CancellationToken.None])!;

        BundleException error = await Assert.ThrowsAsync<BundleException>(() => load);
        Assert.Contains(options.BundleFolder, error.Message, StringComparison.Ordinal);
    }

    private static object Answer(Assembly app, string type, string text) =>
        Activator.CreateInstance(
            app.GetType(type)!,
            new ReasoningResult(text, "think", app.GetType("App.TutorModel+Adapters")?.GetProperty("Arithmetic") is null ? "base" : "arithmetic", new Usage(5, 5, 0, 7, 2, null, false), FinishReason.Stop))!;

    private static ReasoningResult Voted(string text) =>
        new(text, null, "base", new Usage(5, 5, 0, 7, 2, null, false), FinishReason.Stop) { Confidence = 1, Votes = [new Vote(text, 2, 2, 1)] };

    private static object Vote(object answer, int index) => CastAll(Get(answer, "Votes")).ElementAt(index);

    private static object Static(Assembly app, string type, string property) => app.GetType(type)!.GetProperty(property)!.GetValue(null)!;

    private static object Get(object value, string property) => value.GetType().GetProperty(property)!.GetValue(value)!;

    private static IEnumerable<object> CastAll(object list) => ((System.Collections.IEnumerable)list).Cast<object>();
}
