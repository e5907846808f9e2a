using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training.Tests;

public sealed class GrpoDatasetTests
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer.json"));
    private static readonly ChatTemplate s_template = ChatTemplate.Load(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer_config.json"));

    private static GrpoDataset Encode(string? answer, int context, params ChatTurn[] turns) => GrpoDataset.Encode(
        "data.jsonl", [new TrainingExample(turns, answer, 7)], s_tokenizer, s_template, new PromptSettings { System = "Be brief." }, new BudgetForcingSettings { Budgets = new([100, 50]), MaxTokens = 120 }, context);

    [Fact]
    public void A_budget_stands_behind_the_users_last_message_after_one_space()
    {
        var data = Encode("5", 512, new("user", "What is 2 + 3?"), new("assistant", "<think>2 + 3 = 5.</think>\n\n5"));
        var question = data.Questions.Single();
        Assert.Equal("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 3? Use at most 64 tokens.<|im_end|>\n", s_tokenizer.Decode(data.Render(question, 64)));
        Assert.Equal("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n", s_tokenizer.Decode(data.Render(question, null)));
        Assert.Equal("<|im_start|>assistant\n", s_tokenizer.Decode([.. data.GenerationPrompt]));
        Assert.Equal(("5", 7), (question.Expected, question.Line));
    }

    [Fact]
    public void A_budget_that_the_data_states_makes_way_for_the_recipes_own()
    {
        Assert.Equal("How many?", Encode("5", 512, new ChatTurn("user", "How many? Use at most 48 tokens.")).Questions.Single().Text);
        Assert.Equal("Use at most 48 tokens. How many?", GrpoDataset.WithoutBudget("Use at most 48 tokens. How many?", "Use at most {budget} tokens."));
        Assert.Equal("How many? (48)", GrpoDataset.WithoutBudget("How many? (48) (12)", "({budget})"));
        Assert.Equal("How many? Be brief.", GrpoDataset.WithoutBudget("How many? Be brief.", "Be brief."));
    }

    [Theory]
    [InlineData("<think>2 + 3 = 5.</think>\n\n5", "5", true)]
    [InlineData("<think>2 + 3 = 5.", "", false)]
    [InlineData("5", "5", false)]
    public void Answers_are_read_as_the_runtime_reads_them(string output, string answer, bool closed)
    {
        var data = Encode("5", 512, new ChatTurn("user", "Q"));
        var tokens = s_tokenizer.Encode(output);
        var read = data.Read(tokens);
        Assert.Equal((output, answer), (read.Output, read.Answer));
        Assert.Equal(closed ? s_tokenizer.Encode(output[..^"\n\n5".Length]).Length : tokens.Length, read.ThinkTokens);
    }

    [Fact]
    public void What_cannot_be_used_names_its_line()
    {
        var noAnswer = Assert.Throws<TrainingException>(() => Encode(null, 512, new ChatTurn("user", "Q")));
        Assert.Equal((DiagnosticCodes.DataLineInvalid, 7), (noAnswer.Code, noAnswer.Line));
        Assert.Contains("no \"answer\"", noAnswer.Message, StringComparison.Ordinal);

        var noUser = Assert.Throws<TrainingException>(() => Encode("5", 512, new ChatTurn("system", "Q"), new ChatTurn("assistant", "A")));
        Assert.Equal((DiagnosticCodes.DataLineInvalid, 7), (noUser.Code, noUser.Line));

        var tooLong = Assert.Throws<TrainingException>(() => Encode("5", 130, new ChatTurn("user", "Q")));
        Assert.Equal((DiagnosticCodes.ExampleTooLong, 7), (tooLong.Code, tooLong.Line));
        Assert.Contains("\"maxTokens\"", tooLong.Message, StringComparison.Ordinal);

        var empty = Assert.Throws<TrainingException>(() => GrpoDataset.Encode("data.jsonl", [], s_tokenizer, s_template, new PromptSettings(), new BudgetForcingSettings(), 512));
        Assert.Equal(DiagnosticCodes.DataEmpty, empty.Code);
    }
}
