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

    private static object Static(Assembly app, string type, string property) => app.GetType(type)!.GetProperty(property)!.GetValue(null)!;

    private static object Get(object value, string property) => value.GetType().GetProperty(property)!.GetValue(value)!;

    private static IEnumerable<object> CastAll(object list) => ((System.Collections.IEnumerable)list).Cast<object>();
}
