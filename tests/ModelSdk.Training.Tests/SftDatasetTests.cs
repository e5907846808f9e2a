using ModelSdk.Manifest;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Training.Tests;

public sealed class SftDatasetTests
{
    private static readonly Tokenizer s_tokenizer = Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer.json"));
    private static readonly ChatTemplate s_template = ChatTemplate.Load(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer_config.json"));

    private static SftDataset Encode(int context, string? system, params ChatTurn[] turns) =>
        SftDataset.Encode("data.jsonl", [new TrainingExample(turns, null, 7)], s_tokenizer, s_template, system, context);

    [Fact]
    public void Prompt_generation_prompt_and_response_together_are_the_whole_rendered_conversation()
    {
        ChatTurn[] turns = [new("user", "What is 2 + 3?"), new("assistant", "<think>2 + 3 = 5.</think>\n\n5")];

        var data = Encode(512, null, turns);

        var example = data.Examples.Single();
        var whole = s_tokenizer.Decode([.. example.Prompt, .. data.GenerationPrompt, .. example.Response]);
        Assert.Equal(s_template.Render(turns, addGenerationPrompt: false), whole + "\n");
        Assert.Equal("<|im_start|>assistant\n", s_tokenizer.Decode([.. data.GenerationPrompt]));
        Assert.Equal(s_tokenizer.TokenId("<|im_end|>"), example.Response[^1]);
        Assert.StartsWith("<|im_start|>system\nYou are Qwen", whole, StringComparison.Ordinal);
    }

    [Fact]
    public void A_system_text_is_added_where_the_conversation_has_none()
    {
        string Prompt(params ChatTurn[] turns) => s_tokenizer.Decode(Encode(512, "Be brief.", turns).Examples.Single().Prompt);
        Assert.StartsWith("<|im_start|>system\nBe brief.<|im_end|>", Prompt(new("user", "Q"), new("assistant", "A")), StringComparison.Ordinal);
        Assert.StartsWith("<|im_start|>system\nOwn.<|im_end|>", Prompt(new("system", "Own."), new("user", "Q"), new("assistant", "A")), StringComparison.Ordinal);
    }

    [Fact]
    public void Only_the_last_answer_of_a_conversation_is_learnt()
    {
        var example = Encode(512, null, new("user", "Q"), new("assistant", "First"), new("user", "R"), new("assistant", "Second")).Examples.Single();
        Assert.Equal("Second<|im_end|>", s_tokenizer.Decode(example.Response));
        Assert.Contains("First", s_tokenizer.Decode(example.Prompt), StringComparison.Ordinal);
    }

    [Fact]
    public void An_example_that_is_too_long_or_has_no_answer_names_its_line()
    {
        var tooLong = Assert.Throws<TrainingException>(() => Encode(20, null, new("user", "Q"), new("assistant", "A")));
        Assert.Equal((DiagnosticCodes.ExampleTooLong, 7), (tooLong.Code, tooLong.Line));
        Assert.Contains("context is 20", tooLong.Message, StringComparison.Ordinal);

        var noAnswer = Assert.Throws<TrainingException>(() => Encode(512, null, new("system", "S"), new("user", "Q")));
        Assert.Equal((DiagnosticCodes.DataLineInvalid, 7), (noAnswer.Code, noAnswer.Line));
    }
}
