using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests;

public class BudgetTests
{
    [Fact]
    public async Task Reasoning_is_split_from_the_answer_and_tokens_are_counted()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        ReasoningResult result = await scripted.Answer();

        Assert.Equal("abc", result.Reasoning);
        Assert.Equal("42", result.Text);
        Assert.Equal(FinishReason.Stop, result.Finish);
        // <think> a b c </think> are reasoning; the blank line and two digits are the answer.
        Assert.Equal(5, result.Usage.ReasoningTokens);
        Assert.Equal(3, result.Usage.AnswerTokens);
        Assert.False(result.Usage.Forced);
        Assert.Null(result.Usage.Budget);
    }

    [Fact]
    public async Task Without_a_reasoning_block_all_text_is_answer()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([["\n", "h", "i", "<end>"]]);

        ReasoningResult result = await scripted.Answer(r => r with { Mode = "base" });

        Assert.Null(result.Reasoning);
        Assert.Equal("hi", result.Text);
        Assert.Equal(0, result.Usage.ReasoningTokens);
        Assert.Equal(2, result.Usage.AnswerTokens);
    }

    [Theory]
    [InlineData(1, "")]
    [InlineData(2, "x")]
    [InlineData(10, "xyzxyzxyz")]
    public async Task A_hard_budget_cuts_the_reasoning_at_its_token_and_forces_the_answer(int budget, string reasoning)
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless);

        ReasoningResult result = await scripted.Answer(r => r with { Budget = budget });

        Assert.Equal(reasoning, result.Reasoning);
        Assert.Equal("7", result.Text);
        Assert.Equal(FinishReason.Budget, result.Finish);
        Assert.True(result.Usage.Forced);
        Assert.Equal(budget, result.Usage.ReasoningTokens);
        Assert.Equal(1, result.Usage.AnswerTokens);
        Assert.Equal(budget, result.Usage.Budget);
    }

    [Fact]
    public async Task A_forced_answer_ends_after_the_tokens_that_the_bundle_allows()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([["\n", "<think>", "x", "x"], ["\n\n", "7", "8", "7"]]);

        ReasoningResult result = await scripted.Answer(r => r with { Budget = 5 });

        Assert.Equal("787878", result.Text);
        Assert.Equal(6, result.Usage.AnswerTokens);
        Assert.Equal(FinishReason.Budget, result.Finish);
    }

    [Fact]
    public async Task A_budget_that_is_not_reached_changes_nothing()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        ReasoningResult result = await scripted.Answer(r => r with { Budget = 50 });

        Assert.Equal("42", result.Text);
        Assert.Equal(FinishReason.Stop, result.Finish);
        Assert.False(result.Usage.Forced);
    }

    [Fact]
    public async Task A_budget_that_ends_in_the_answer_lets_the_answer_finish()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);

        ReasoningResult result = await scripted.Answer(r => r with { Budget = 7 });

        Assert.Equal("42", result.Text);
        Assert.Equal(FinishReason.Stop, result.Finish);
        Assert.Equal(8, result.Usage.GeneratedTokens);
    }

    [Fact]
    public async Task A_budget_bounds_an_answer_without_reasoning_too()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([["\n", "x", "y", "x"]]);

        ReasoningResult result = await scripted.Answer(r => r with { Budget = 9 });

        Assert.Equal(9, result.Usage.AnswerTokens);
        Assert.Equal(FinishReason.Budget, result.Finish);
        Assert.False(result.Usage.Forced);
    }

    [Fact]
    public async Task A_full_context_forces_the_answer_while_there_is_room_for_it()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless, context: 64);

        ReasoningResult result = await scripted.Answer();

        Assert.Equal("7", result.Text);
        Assert.Equal(FinishReason.Context, result.Finish);
        Assert.True(result.Usage.Forced);
        // Context 64 = prompt + reasoning + the forcing text (2 tokens) + 6 tokens kept for the answer.
        Assert.Equal(64 - result.Usage.PromptTokens - 2 - 6, result.Usage.ReasoningTokens);
    }

    [Fact]
    public async Task MaxTokens_ends_the_generation_where_it_is()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless);

        ReasoningResult result = await scripted.Answer(r => r with { MaxTokens = 4 });

        Assert.Equal("xyz", result.Reasoning);
        Assert.Equal("", result.Text);
        Assert.Equal(FinishReason.MaxTokens, result.Finish);
    }

    [Fact]
    public async Task The_budget_is_stated_in_the_last_user_message()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        ReasoningResult none = await scripted.Answer();
        ReasoningResult budget = await scripted.Answer(r => r with { Budget = 120 });

        Assert.Equal(none.Usage.PromptTokens + " Use at most 120 tokens.".Length, budget.Usage.PromptTokens);
    }

    [Fact]
    public async Task A_bundle_without_a_budget_text_states_none()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker], change: b => b with { Prompt = b.Prompt with { Budget = null } });
        ReasoningResult none = await scripted.Answer();
        ReasoningResult budget = await scripted.Answer(r => r with { Budget = 120 });

        Assert.Equal(none.Usage.PromptTokens, budget.Usage.PromptTokens);
    }
}
